package org.example;

import java.util.Scanner;

class Adder {
    static long sum(Scanner in) {
        long sum = 0;
        for (int n = in.nextInt(); n > 0; n--) {
            sum += in.nextLong();
        }
        return sum;
    }
}

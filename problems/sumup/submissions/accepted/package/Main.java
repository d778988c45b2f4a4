package org.example;

public class Main {
    public static void main(String[] arguments) {
        System.out.println(Adder.sum(new java.util.Scanner(System.in)));
    }
}

import java.util.Scanner;

// The file is not called Sum.java: the judge gives it the name that javac wants.
public class Sum {
    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in);
        long sum = 0;
        for (int n = in.nextInt(); n > 0; n--) {
            sum += in.nextLong();
        }
        System.out.println(sum);
    }
}

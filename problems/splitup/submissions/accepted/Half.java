import java.util.Scanner;

class Half {
    public static void main(String[] arguments) {
        int n = new Scanner(System.in).nextInt();
        System.out.println((n - n / 2) + " " + n / 2);
    }
}

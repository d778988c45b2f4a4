import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.security.SecureRandom;
import java.time.Year;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

public class All {
    static void threads() throws InterruptedException {
        AtomicInteger sum = new AtomicInteger();
        Thread[] all = new Thread[4];
        for (int t = 0; t < 4; t++) {
            int first = t;
            all[t] = new Thread(() -> {
                for (int i = first; i < 100; i += 4) sum.addAndGet(i);
            });
            all[t].start();
        }
        for (Thread one : all) one.join();
        System.out.println("threads " + sum);
    }

    public static void main(String[] arguments) throws Exception {
        threads();
        String upper = "\u00e4\u00f6\u00fc".toUpperCase(Locale.getDefault());
        new PrintStream(System.out, true, Charset.forName("UTF-8")).println("locale " + upper);
        long before = System.nanoTime();
        Thread.sleep(10);
        if (System.nanoTime() - before >= 9_000_000 && Year.now().getValue() >= 2024) System.out.println("time passes");
        byte[] one = new byte[16], two = new byte[16];
        new SecureRandom().nextBytes(one);
        new SecureRandom().nextBytes(two);
        if (!Arrays.equals(one, two)) System.out.println("random differs");
        if (arguments.length > 0) return;
        try {
            System.out.println("subprocess " + new ProcessBuilder("/bin/sh", "-c", "exit 7").start().waitFor());
        } catch (IOException refused) {
            System.out.println("subprocess refused");
        }
    }
}

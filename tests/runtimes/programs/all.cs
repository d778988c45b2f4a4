using System;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;

static class All {
    static void Threads() {
        int sum = 0;
        var all = Enumerable.Range(0, 4).Select(first => new Thread(() => {
            for (int i = first; i < 100; i += 4) Interlocked.Add(ref sum, i);
        })).ToArray();
        foreach (var one in all) one.Start();
        foreach (var one in all) one.Join();
        Console.WriteLine("threads " + sum);
    }

    static void Main(string[] arguments) {
        Threads();
        Console.WriteLine("locale " + "äöü".ToUpper() + " " + (1234567.5).ToString("N1", new CultureInfo("de-DE")));
        var watch = Stopwatch.StartNew();
        Thread.Sleep(10);
        if (watch.ElapsedMilliseconds >= 9 && DateTime.Now.Year >= 2024) Console.WriteLine("time passes");
        byte[] one = new byte[16], two = new byte[16];
        using (var source = RandomNumberGenerator.Create()) { source.GetBytes(one); source.GetBytes(two); }
        if (!one.SequenceEqual(two)) Console.WriteLine("random differs");
        if (arguments.Length > 0) return;
        try {
            var child = Process.Start(new ProcessStartInfo("/bin/sh", "-c \"exit 7\"") { UseShellExecute = false });
            child.WaitForExit();
            Console.WriteLine("subprocess " + child.ExitCode);
        } catch (Win32Exception) {
            Console.WriteLine("subprocess refused");
        }
    }
}

<?php
$own = setlocale(LC_ALL, '0') !== false ? setlocale(LC_ALL, '') : 'none';
echo "locale $own\n";
$before = hrtime(true);
usleep(10000);
if (hrtime(true) - $before >= 10000000 && (int) date('Y') >= 2024) echo "time passes\n";
if (random_bytes(16) !== random_bytes(16) && mt_rand() !== mt_rand()) echo "random differs\n";
if ($argc < 2) {
    $child = @proc_open(['/bin/sh', '-c', 'exit 7'], [], $pipes);
    echo 'subprocess ', $child === false ? 'refused' : proc_close($child), "\n";
}

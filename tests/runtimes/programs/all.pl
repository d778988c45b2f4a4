use strict;
use warnings;
use threads;
use threads::shared;
use utf8;
use POSIX qw(setlocale LC_ALL);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

$| = 1;
my $sum : shared = 0;
my @all = map {
    my $first = $_;
    threads->create(sub {
        for (my $i = $first; $i < 100; $i += 4) { lock($sum); $sum += $i; }
    });
} 0 .. 3;
$_->join for @all;
print "threads $sum\n";
my $own = setlocale(LC_ALL, '');
binmode STDOUT, ':encoding(UTF-8)';
print 'locale ', uc('äöü'), " $own\n";
my $before = clock_gettime(CLOCK_MONOTONIC);
usleep(10_000);
print "time passes\n" if clock_gettime(CLOCK_MONOTONIC) - $before >= 0.01 && (localtime)[5] >= 124;
open my $source, '<:raw', '/dev/urandom' or die;
read $source, my $one, 16;
read $source, my $two, 16;
print "random differs\n" if $one ne $two && rand() != rand();
unless (@ARGV) {
    my $status = system '/bin/sh', '-c', 'exit 7';
    print 'subprocess ', $status == -1 ? 'refused' : $status >> 8, "\n";
}

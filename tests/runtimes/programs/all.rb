require 'securerandom'

$stdout.sync = true
parts = (0...4).map { |first| Thread.new { (first...100).step(4).sum } }
puts "threads #{parts.sum(&:value)}"
puts "locale #{'äöü'.upcase} #{Encoding.find('locale')}"
before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
sleep 0.01
puts 'time passes' if Process.clock_gettime(Process::CLOCK_MONOTONIC) - before >= 0.01 && Time.now.year >= 2024
puts 'random differs' if SecureRandom.bytes(16) != SecureRandom.bytes(16) && rand != rand
if ARGV.empty?
  begin
    Process.wait(spawn('/bin/sh', '-c', 'exit 7'))
    puts "subprocess #{$?.exitstatus}"
  rescue SystemCallError
    puts 'subprocess refused'
  end
end

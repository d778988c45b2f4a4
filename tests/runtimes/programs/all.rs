use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let (sender, receiver) = mpsc::channel();
    for first in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || (first..100).step_by(4).for_each(|i| sender.send(i).unwrap()));
    }
    drop(sender);
    println!("threads {}", receiver.iter().sum::<i32>());
    println!("letters {}", "äöü".to_uppercase());
    let before = Instant::now();
    thread::sleep(Duration::from_millis(10));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    if before.elapsed() >= Duration::from_millis(10) && since_1970.as_secs() > 54 * 365 * 86_400 {
        println!("time passes");
    }
    // Keys of the kernel's random numbers, of each thread its own.
    let keyed = || thread::spawn(|| RandomState::new().hash_one(1)).join().unwrap();
    if keyed() != keyed() {
        println!("random differs");
    }
    if std::env::args().len() < 2 {
        match Command::new("/bin/sh").args(["-c", "exit 7"]).status() {
            Ok(status) => println!("subprocess {}", status.code().unwrap()),
            Err(_) => println!("subprocess refused"),
        }
    }
}

//! The kernel's lists of mounts: any text is read to its end, and a list that the kernel could have written for what is in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_fs::fuzzing::{Mount, mounts, source_of};

const WORDS: [(&str, u64); 5] = [
    ("ro", 1),
    ("nosuid", 2),
    ("nodev", 4),
    ("noexec", 8),
    ("nosymfollow", 256),
];

/// A path as the kernel shows it: what separates fields and lines becomes octal digits.
fn escaped(path: &[u8]) -> Vec<u8> {
    let escape = |&byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
        plain => vec![plain],
    };
    path.iter().flat_map(escape).collect()
}

fuzz_target!(|input: (&[u8], Vec<(u64, u64, Vec<u8>, u8)>)| {
    let (any, list) = input;
    drop(mounts(any));
    drop(source_of(any, "8:1"));

    let mut text = Vec::new();
    let mut wanted = Vec::new();
    for (id, parent, mut path, chosen) in list {
        path.retain(|&byte| byte != 0);
        path.insert(0, b'/');
        let chosen = WORDS
            .iter()
            .enumerate()
            .filter(|(place, _)| chosen >> place & 1 == 1);
        let (mut options, mut flags) = (String::from("relatime"), 0);
        for (_, (word, flag)) in chosen {
            options = format!("{options},{word}");
            flags |= flag;
        }
        text.extend(format!("{id} {parent} 0:{} / ", wanted.len()).bytes());
        text.extend(escaped(&path));
        text.extend(format!(" {options} shared:1 - ext4 /dev/loop{} ro\n", wanted.len()).bytes());
        wanted.push(Mount {
            ids: (id, parent),
            flags,
            point: (path.len() <= 4096).then_some(path),
        });
    }
    assert_eq!(mounts(&text), wanted);
    for place in 0..wanted.len() {
        let source = source_of(&text, &format!("0:{place}")).unwrap();
        assert_eq!(source.to_bytes(), format!("/dev/loop{place}").as_bytes());
    }
});

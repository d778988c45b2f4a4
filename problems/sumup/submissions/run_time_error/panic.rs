fn main() {
    let nothing: Option<i64> = std::env::args().nth(1).map(|_| 0);
    println!("{}", nothing.unwrap());
}

fn main() { let x: i64 = "text"; }

//! No illegal order of the builder or of the child chain compiles, and the legal ones do.
//!
//! Each file in `typestate/fail` has one error, whose text is reviewed like code: it is what a user reads. The files in
//! `typestate/pass` spell every method right that the others use wrongly, so that a renamed one cannot make a test pass for
//! the wrong reason. After an intended change: `TRYBUILD=overwrite cargo test -p sandbox-tests --test typestate`.

#[test]
fn illegal_orders_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("typestate/pass/*.rs");
    cases.compile_fail("typestate/fail/*.rs");
}

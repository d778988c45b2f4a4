//! Whatever happens to a run, nothing of it is left, and the embedder is as it was.

use sandbox_exec::Verdict;
use sandbox_test_support::{boxes, host, in_child, leaks::Snapshot};

#[test]
fn a_run_leaves_the_embedder_as_it_was() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    in_child(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let before = Snapshot::take();
        let finished = boxes::finish(&sandbox);
        Snapshot::take().assert_same(&before);
        assert_eq!(boxes::said(&finished), "");
        assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    });
}

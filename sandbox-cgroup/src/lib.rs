//! One cgroup per run, in every hierarchy that serves it: v1, v2 and hybrid hosts as one model.

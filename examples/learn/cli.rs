//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Learns the smallest system call policy under which a program does what it does. NOT A SANDBOX: while it learns, every call
/// is made.
#[derive(Debug, Parser)]
#[command(
    name = "seccomp-learn",
    version,
    after_help = "NOT A SANDBOX. The program runs in a box of the family, but of the calls that the policy would refuse all are \
        made, but for clone3 and openat2, whose flags no filter sees. Learn from programs that you trust, on inputs that make them do all that they ever do.\n\
        \n\
        It is run once per input to see what it calls, it and all that it starts; then under what was learned, and once more \
        without each rule of that, in boxes that enforce it. A rule that makes no difference is left out. The same is: the \
        same end and the same standard output.\n\
        \n\
        Standard output gets what the policy would refuse, what of it is needed, and the policy that results: as this family \
        reads it, built on the preset where --policy names one, and as an OCI runtime does, which has no presets: some ten thousand lines \
        then. A rule allows what was seen and, but for numbers of processes, no other value \
        of an argument that tells calls apart. The latter form is for the program; what a container runtime does itself between \
        the filter and the program is not in it.\n\
        \n\
        Exit status:\n  \
          0  the printed policy was tried, and lets the program pass\n  \
          1  no such policy: the program ends by a signal or a limit, is not the same each time, makes calls that a \
        policy cannot name, or more of them than a policy can tell apart\n  \
          2  nothing was learned: the command line is wrong, or boxes do not work here\n\
        \n\
        Needs root and Linux 5.9 or newer."
)]
pub(crate) struct Args {
    /// What is allowed anyhow: the name of a preset, as `judge` or `strict_compute`, a policy file, or nothing.
    #[arg(long, value_name = "NAME|FILE", default_value = "nothing")]
    pub(crate) policy: String,

    /// A file for standard input; may be given several times, for a run each. Without, one run with an empty one.
    #[arg(long = "input", value_name = "FILE")]
    pub(crate) inputs: Vec<PathBuf>,

    /// A file or directory that the box shows, read-only, under the same path; /usr is there anyhow.
    #[arg(long = "bind", value_name = "PATH")]
    pub(crate) binds: Vec<PathBuf>,

    /// Compare ends only: for programs that print other things each time.
    #[arg(long)]
    pub(crate) ignore_output: bool,

    /// Keep every rule that was learned, also those that make no difference.
    #[arg(long)]
    pub(crate) all: bool,

    /// Wall time that the program may take, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) seconds: u64,

    /// Also write policy.json and oci.json there; it is made where it is missing.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) output: Option<PathBuf>,

    /// The program, by its full path, and its arguments.
    #[arg(required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}

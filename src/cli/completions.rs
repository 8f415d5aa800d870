//! `weir completions SHELL`: what a shell needs to complete commands.

use clap_complete::Shell;

use super::{failure::Failure, terminal::Out};

pub(super) const HELP: &str = "\
For the shell you are in:  source <(weir completions bash)
For good:  weir completions bash > ~/.local/share/bash-completion/completions/weir
           weir completions zsh > \"${fpath[1]}/_weir\"
           weir completions fish > ~/.config/fish/completions/weir.fish";

/// Prints the script.
///
/// # Errors
/// When nobody reads it.
pub(super) fn run(shell: Shell, out: &Out) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "weir", &mut script);
    out.bytes(&script)
}

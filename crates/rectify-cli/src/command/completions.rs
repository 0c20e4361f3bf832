//! `rectify completions`: what clap makes, and paths beside the names of data sets.

use clap::CommandFactory;
use clap_complete::Shell;
use rectify_train::data;

use crate::cli::Cli;

/// The script. A data set is a name or a path, and clap's scripts complete either known words or paths. Elvish and
/// PowerShell complete no values.
pub fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rectify", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let names = data::names();
    let words = names.join(" ");
    match shell {
        Shell::Bash => script.replace(
            &format!("COMPREPLY=($(compgen -W \"{words}\" -- \"${{cur}}\"))"),
            // A name with a blank is one, and a folder's ends with a slash.
            &format!(
                "local IFS=$'\\n'; compopt -o filenames 2>/dev/null\n                    \
                 COMPREPLY=($(compgen -W $'{}' -- \"${{cur}}\"; compgen -f -- \"${{cur}}\"))",
                names.join("\\n")
            ),
        ),
        Shell::Zsh => script.replace(
            &format!(":({words})'"),
            &format!(": _alternative \"sets\\:data set\\:({words})\" \"paths\\:path\\:_files\"'"),
        ),
        Shell::Fish => {
            let described: Vec<String> = names.iter().map(|name| format!("{name}\\t''")).collect();
            let listed = format!("-a \"{}\"", described.join("\n"));
            script.replace(&format!("-r -f {listed}"), &format!("-r -F {listed}"))
        }
        _ => script,
    }
}

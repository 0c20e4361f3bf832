//! `rectify export`.

use std::{path::Path, process::ExitCode};

use rectify_train::{
    export::{self, Exported, TableFormat},
    store::{self, SavedCheckpoint},
};

use crate::{
    cli::{ExportArgs, Usage},
    note, print,
};

/// Writes the metrics of a folder's runs, and the weights of its checkpoint, in formats of other tools.
pub fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let told = |file: &Path, what: String| {
        if !args.quiet {
            note(format_args!("wrote {}: {what}", file.display()));
        }
    };
    if let Some(file) = &args.metrics {
        let wrong = |reason: String| Usage(format!("--metrics {}: {reason}", file.display()));
        let format = TableFormat::of(file).map_err(wrong)?;
        let table = export::metrics(&export::runs_of(&args.folder)?);
        store::write(file, &table.to_bytes(format).map_err(anyhow::Error::msg)?)?;
        told(file, format!("{} rows", table.rows()));
    }
    if let Some(file) = &args.weights {
        let Exported { safetensors, modules } = export::export_weights(&SavedCheckpoint::open(&args.folder)?)?;
        store::write(file, &safetensors)?;
        let parameters = modules.iter().map(|module| module.parameters.len()).sum::<usize>();
        told(file, format!("{parameters} tensors"));
        let modules: Vec<String> = modules.into_iter().map(|module| format!("    {},\n", module.python)).collect();
        return print(format!("nn.Sequential(\n{})\n", modules.concat()));
    }
    Ok(ExitCode::SUCCESS)
}

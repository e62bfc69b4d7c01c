//! What a preview says, off the driver's thread.

use crate::event::PreviewSeen;
use crate::exec;
use crate::hash::Hash;
use crate::plan::{Params, Preview};
use crate::secret::{Given, SecretEnv, Values, Vault};

/// Runs it as it was frozen, and fills in what it said, where that is what the plan expects. Blocks for as long as it may take.
pub(super) fn look(
    preview: &Preview,
    seen: &mut PreviewSeen,
    params: &Params,
    values: &Values,
    vault: &Vault,
) -> Result<(), String> {
    let env = SecretEnv::fill(&preview.command, params, values).map_err(|error| error.to_string())?;
    let given = Given { env, needles: vault.needles() };
    let opened = exec::open(&seen.command, &preview.command, params).map_err(|error| error.to_string())?;
    let output = exec::look(opened, &given).map_err(|error| error.to_string())?;
    seen.value = preview.expect.judge(params, &output)?;
    (seen.sha256, seen.output) = (Hash::of(output.as_bytes()), output);
    Ok(())
}

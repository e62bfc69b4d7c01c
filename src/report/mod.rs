//! stub
use std::path::{Path, PathBuf};
/// stub
pub fn write(p: &Path) -> anyhow::Result<PathBuf> {
    Ok(p.to_owned())
}

//! stub
use std::path::{Path, PathBuf};
/// stub
pub fn write_beside(p: &Path) -> anyhow::Result<PathBuf> {
    Ok(p.to_owned())
}

use super::args::{Replay, Report};
pub async fn run(_args: Replay) -> anyhow::Result<()> {
    Ok(())
}
pub fn report(_args: &Report) -> anyhow::Result<()> {
    Ok(())
}

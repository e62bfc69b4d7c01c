use super::args::Demo;
pub async fn run(_args: Demo) -> anyhow::Result<()> {
    Ok(())
}

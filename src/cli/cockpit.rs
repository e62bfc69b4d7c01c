use super::args::ScreenArgs;
use crate::client::Client;
pub async fn run(_client: Client, _screen: &ScreenArgs, _hub: Option<&str>) -> anyhow::Result<()> {
    Ok(())
}

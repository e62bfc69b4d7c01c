//! `join`: a participant, on a screen or in plain mode.

use super::args::{Join, ScreenArgs};
use super::{key_path, plain};
use crate::client::{Client, Keys, Options};
use crate::link::Link;
use crate::name::Principal;
use anyhow::Context as _;
use std::path::PathBuf;

/// Joins and stays until the person leaves or the session is over.
pub async fn run(args: Join) -> anyhow::Result<()> {
    let link = read_link(&args.link)?;
    let client = join(link, args.name, args.key, args.via).await?;
    show(client, &args.screen, None).await
}

/// A link as given, or from `@FILE`.
pub fn read_link(text: &str) -> anyhow::Result<Link> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("the link's file {file} cannot be read"))?
        }
        None => text.to_owned(),
    };
    Ok(text.trim().parse()?)
}

/// Joins with the key that was named, one that the session knows, or the one kept for this session and principal.
pub async fn join(
    link: Link,
    name: Option<Principal>,
    key: Option<PathBuf>,
    via: Option<String>,
) -> anyhow::Result<Client> {
    let who = link.principal.as_ref().or(name.as_ref()).map_or("observer".to_owned(), ToString::to_string);
    let keys = Keys::Find { file: key, own: key_path(&link.session, &who)? };
    let heads = super::head_path(&link.session).ok();
    let client = Client::join(Options { link, name, keys, via, heads }).await?;
    if let Some(data) = client.view.borrow().session.rehearsal() {
        eprintln!("{}", super::rehearsal::told(data));
    }
    eprintln!("signing with {}", client.key());
    Ok(client)
}

/// Shows the session until it is left or over. `hub` is what the lead may find again after leaving.
pub async fn show(client: Client, screen: &ScreenArgs, hub: Option<&str>) -> anyhow::Result<()> {
    if wants_plain(screen) {
        let input = tokio::io::BufReader::new(tokio::io::stdin());
        return plain::run(client, input, &mut super::out::stdout()).await;
    }
    super::cockpit::run(client, screen, hub).await
}

/// Whether there shall be no screen: asked for, or not possible.
pub fn wants_plain(screen: &ScreenArgs) -> bool {
    use std::io::IsTerminal as _;
    screen.plain
        || std::env::var_os("ACCESSIBLE").is_some_and(|value| !value.is_empty() && value != "0")
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
        || !std::io::stdout().is_terminal()
        || !std::io::stdin().is_terminal()
}

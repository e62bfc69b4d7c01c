//! `whoami`.

use super::args::Whoami;
use super::{key_path, state_folder};
use crate::identity::Key;
use crate::link::Link;
use crate::name::Principal;
use crate::trust::signer::Signer;
use crate::trust::statement::Purpose;
use anyhow::Context as _;

/// What a line lets its key do, as plans want it of their crew.
const NAMESPACES: [Purpose; 4] = [Purpose::Join, Purpose::Approve, Purpose::Hub, Purpose::Close];

/// Prints `allowed_signers` lines.
pub async fn run(args: Whoami) -> anyhow::Result<()> {
    if let Some(link) = &args.link {
        let link: Link = super::join::read_link(link)?;
        let who = link.principal.as_ref().map_or("observer", |principal| principal.as_str());
        let key = Key::load_or_make(&key_path(&link.session, who)?)?;
        println!("{who} {}", key.public());
        return Ok(());
    }
    match Signer::find(args.key.as_deref(), |_| true).await {
        Ok(signer) => {
            let namespaces = NAMESPACES.map(Purpose::namespace).join(",");
            let name = args.name.as_ref().map_or("PRINCIPAL", Principal::as_str);
            println!("{name} namespaces=\"{namespaces}\" {}", signer.public());
            eprintln!("this is {}", signer.describe());
            if args.name.is_none() {
                eprintln!(
                    "hint: in place of PRINCIPAL belongs your name as the plan's crew has it; --as NAME puts it there"
                );
            }
            Ok(())
        }
        Err(error) if args.key.is_some() => Err(error.into()),
        Err(error) => {
            eprintln!("{error}");
            kept()
        }
    }
}

/// The keys that were made for sessions, one line each.
fn kept() -> anyhow::Result<()> {
    let folder = state_folder()?.join("keys");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!(
                "no key yet: `crosscheck join LINK` makes one for each session, `crosscheck whoami LINK` shows it"
            );
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "key"))
        .collect();
    paths.sort();
    for path in paths {
        // Named `<session>-<principal>.key`.
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (session, who) = stem.split_once('-').unwrap_or(("?", &stem));
        println!("{who} {} # session {session}", Key::load_or_make(&path)?.public());
    }
    Ok(())
}

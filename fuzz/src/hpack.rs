//! Header blocks of HTTP/2: each run of a side is one, a gap makes the table forgotten.

use crate::meter;
use crate::script::{Act, Script};
use crate::wire::hpack::{Decoder, MAX_VALUE, Name};

type Block = (Vec<(Name, Vec<u8>)>, bool);

/// Any blocks; any cut of them gives the same.
pub fn run(data: &[u8]) {
    let script = Script::parse(data);
    let memory = (1 << 20) + data.len() * 256;
    let cut = meter::within(memory, || blocks(&script, true));
    let whole = meter::within(memory, || blocks(&script, false));
    assert_eq!(whole, cut);
}

fn blocks(script: &Script<'_>, cuts: bool) -> Vec<Block> {
    let mut decoder = Decoder::new("test");
    let mut out = Vec::new();
    for step in &script.steps {
        match step.act {
            Act::Say { data, cut, .. } => {
                let mut fields = Vec::new();
                decoder.begin();
                let most = if cuts && cut > 0 { usize::from(cut) } else { data.len().max(1) };
                let read = data.chunks(most).try_for_each(|piece| {
                    decoder.bytes(piece, |name, value| {
                        assert!(value.len() <= MAX_VALUE);
                        fields.push((name, value.to_vec()));
                    })
                });
                let ok = read.and_then(|()| decoder.end()).is_ok();
                if !ok {
                    decoder.forget("broken");
                }
                out.push((fields, ok));
            }
            Act::Gap(_) => decoder.forget("a gap"),
            Act::Turn => {}
        }
    }
    out
}

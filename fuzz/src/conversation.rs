//! Finding out the protocol, and all decoders behind it.

use crate::meter;
use crate::model::BootNs;
use crate::play::check;
use crate::script::{Act, Script};
use crate::wire::{Conversation, Told};

/// Any input. There is no promise that cuts make no difference: what is kept for finding out is cut.
pub fn run(data: &[u8]) {
    let script = Script::parse(data);
    let memory = (1 << 20) + 512 * data.len();
    let (told, undecoded) = meter::within(memory, || play(&script));
    // An upgrade is told by the one and by the other.
    assert!(undecoded <= script.length().saturating_mul(2));
    assert!(told.len() as u64 <= script.said() + script.steps.len() as u64 + 1);
    for told in &told {
        check(told, &script);
    }
}

fn play(script: &Script<'_>) -> (Vec<Told>, u64) {
    let mut conversation = Conversation::new(script.adopted);
    let (mut out, mut offsets, mut undecoded) = (Vec::new(), [script.start; 2], 0u64);
    let (mut last, mut at) = (None, BootNs(0));
    for step in &script.steps {
        let (from, offset) = (step.from, &mut offsets[step.from as usize]);
        at = step.at;
        match step.act {
            Act::Turn => conversation.turn(from, &mut out),
            Act::Gap(len) => {
                conversation.gap(from, at, *offset, len, &mut out);
                *offset += len;
            }
            Act::Say { data, turn, cut } => {
                if turn && last != Some(from) {
                    conversation.turn(from, &mut out);
                }
                for piece in data.chunks(if cut > 0 { usize::from(cut) } else { data.len().max(1) }) {
                    conversation.bytes(from, at, *offset, piece, &mut out);
                    *offset += piece.len() as u64;
                }
            }
        }
        last = Some(from);
        undecoded = undecoded.saturating_add(conversation.take_undecoded());
    }
    conversation.end(at, &mut out);
    (out, undecoded.saturating_add(conversation.take_undecoded()))
}

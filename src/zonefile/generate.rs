//! `$GENERATE start-stop[/step]`: text made from a template (BIND's extension).

use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::one_of;
use nom::combinator::{all_consuming, map_opt, opt};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use std::sync::Arc;

use super::RecordRef;
use super::diagnostics::Kind;
use super::lexer::{LexError, Lexer, Line};
use super::reader::{File, Head, Reader, Step};
use crate::dns::{Class, Name, RrType, name, rdata};

/// Numbers from `start` to `stop`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) stop: u32,
    pub(super) step: u32,
}

/// Longest name or RDATA text that a template may grow to.
const EXPANDED_BYTES_MAX: usize = 65_535;

fn number<T: std::str::FromStr>(input: &[u8]) -> IResult<&[u8], T> {
    let digits = take_while1(|byte: u8| byte.is_ascii_digit());
    map_opt(digits, |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok()).parse_complete(input)
}

/// Reads `1-10` or `1-10/2`; `None` if it is anything else, descending, or without a step. Numbers have 31
/// bits, as BIND's have.
pub(super) fn range(text: &[u8]) -> Option<Range> {
    let mut grammar = all_consuming((
        number::<u32>,
        preceded(tag("-".as_bytes()), number),
        opt(preceded(tag("/".as_bytes()), number)),
    ));
    let (_, (start, stop, step)) = grammar.parse_complete(text).ok()?;
    let range = Range { start, stop, step: step.unwrap_or(1) };
    let top = i32::MAX as u32;
    (start <= stop && range.step > 0 && stop <= top && range.step <= top).then_some(range)
}

impl Range {
    /// The numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }
}

/// How a number is written: `${offset,width,base}`.
struct Modifier {
    offset: i64,
    width: usize,
    base: char,
}

fn modifier(input: &[u8]) -> IResult<&[u8], Modifier> {
    let signed = (opt(one_of("+-")), number::<u32>)
        .map(|(sign, value)| if sign == Some('-') { -i64::from(value) } else { i64::from(value) });
    let width = opt(preceded(tag(",".as_bytes()), number::<usize>));
    let base = opt(preceded(tag(",".as_bytes()), one_of("doxXnN")));
    let mut grammar = delimited(tag("{".as_bytes()), (signed, width, base), tag("}".as_bytes()));
    let (rest, (offset, width, base)) = grammar.parse_complete(input)?;
    Ok((rest, Modifier { offset, width: width.unwrap_or(0), base: base.unwrap_or('d') }))
}

/// Puts `number` in place of every `$` of `template`; `$$` and `\$` are a dollar sign.
pub(super) fn expand(template: &[u8], number: u32) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'$', Some(b'$')) => {
                out.push(b'$');
                rest = &tail[1..];
            }
            (b'$', Some(b'{')) => {
                let (after, modifier) = modifier(tail).map_err(|_| "syntax error")?;
                write_number(number, &modifier, &mut out)?;
                rest = after;
            }
            (b'$', _) => out.extend(number.to_string().bytes()),
            (b'\\', Some(&escaped)) => {
                out.extend([byte, escaped]);
                rest = &tail[1..];
            }
            _ => out.push(byte),
        }
        if out.len() > EXPANDED_BYTES_MAX {
            return Err("ran out of space");
        }
    }
    Ok(out)
}

fn write_number(number: u32, modifier: &Modifier, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Modifier { offset, width, base } = *modifier;
    let value = i64::from(number) + offset;
    if width > 255 {
        return Err("ran out of space");
    }
    if value < 0 || value > i64::from(i32::MAX) {
        return Err("out of range");
    }
    match base {
        'd' => out.extend(format!("{value:0width$}").bytes()),
        'o' => out.extend(format!("{value:0width$o}").bytes()),
        'x' => out.extend(format!("{value:0width$x}").bytes()),
        'X' => out.extend(format!("{value:0width$X}").bytes()),
        _ => write_nibbles(value as u32, width, base == 'N', out),
    }
    Ok(())
}

/// Hexadecimal digits from the lowest on, with dots between them, as in ip6.arpa. `width` counts the dots.
fn write_nibbles(value: u32, width: usize, upper: bool, out: &mut Vec<u8>) {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let (mut rest, mut written) = (value, 0);
    loop {
        out.push(digits[(rest & 0x0f) as usize]);
        rest >>= 4;
        written += 1;
        if rest == 0 && written >= width {
            return;
        }
        out.push(b'.');
        written += 1;
        if rest == 0 && written >= width {
            return;
        }
    }
}

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    /// `$GENERATE range owner [TTL] [class] type rdata`.
    pub(super) fn generate(&mut self, file: &mut File, line: &Line<'_>) -> Step<()> {
        let range_text = self.token(file, line, 1)?;
        let owner = self.token(file, line, 2)?;
        let (found, at, text) = self.ttl_and_class(file, line, 3)?;
        let Some(template) = line.tokens.get(at + 1) else { return Err(self.missing(file, line)) };
        let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        self.check_class(file, line, found.class)?;
        let Some(range) = range(range_text) else {
            return Err(self.error(file, line.on_first_line(1), Kind::GenerateRange(shown(range_text))));
        };
        let Some(rtype) = rdata::from_mnemonic(text) else {
            return Err(self.error(file, line.on_first_line(at), Kind::GenerateType(shown(text))));
        };
        if rtype.is_meta() {
            return Err(self.error(file, line.on_first_line(at), Kind::GenerateMeta(shown(text))));
        }
        let head = Head { ttl_at: found.ttl_at, rtype, type_at: at, rdata_at: at + 1 };
        for number in range.numbers() {
            self.generate_one(file, line, &head, owner, template.text, number)?;
        }
        self.expect_end(file, line, at + 2)
    }

    fn generate_one(
        &mut self,
        file: &mut File,
        line: &Line<'_>,
        head: &Head,
        owner: &[u8],
        template: &[u8],
        number: u32,
    ) -> Step<()> {
        let fail = |reason| Kind::Generate(reason);
        let (owner_at, template_at) = (line.on_first_line(2), line.on_first_line(head.rdata_at));
        let owner = expand(owner, number).map_err(|reason| self.error(file, owner_at, fail(reason)))?;
        let text = expand(template, number).map_err(|reason| self.error(file, template_at, fail(reason)))?;
        let mut wire = Vec::with_capacity(owner.len() + 32);
        if let Err(error) = name::parse_into(&owner, Some(file.origin.as_wire()), &mut wire) {
            return Err(self.error(file, owner_at, fail(rdata::name_reason(error))));
        }
        if !name::is_at_or_below(&wire, self.zone.as_wire()) {
            let name = Name::from_wire(&wire).unwrap_or_else(|_| file.origin.clone());
            self.warn(file, owner_at, Kind::OutOfZone(name));
            return Ok(());
        }
        let mut lexer = Lexer::new(&text);
        let mut made = Line::default();
        lexer.next_line(&mut made);
        if matches!(head.rtype, RrType::SVCB | RrType::HTTPS) {
            made.join_pairs(0, lexer.file());
        }
        let mut octets = Vec::new();
        let parsed = rdata::from_text(Class::IN, head.rtype, &made.tokens, &file.origin, &mut octets);
        let reason = parsed.map_err(|error| error.reason).err().or(made.error.map(LexError::reason));
        if let Some(reason) = reason {
            return Err(self.error(file, template_at, fail(reason)));
        }
        // The names that are made are owners of their own; the current owner stays what it was.
        let mut generated = File::new(Arc::clone(&file.name), file.origin.clone());
        generated.owner = wire;
        generated.owner_line = line.number;
        self.settle_ttl(&mut generated, line, head, &octets)?;
        self.emit(&generated, line.number, head.rtype, &octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_ascend_and_have_a_step() {
        let numbers = |text: &str| range(text.as_bytes()).map(|range| range.numbers().collect::<Vec<_>>());
        assert_eq!(numbers("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(numbers("1-6/2"), Some(vec![1, 3, 5]));
        for bad in ["", "1", "3-1", "1-3/0", "1-3/", "x", "1-3x", "-1-3", "1-99999999999", "1-3000000000"] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }

    #[test]
    fn templates_are_filled_in_as_bind_does() {
        let text = |template: &str, number| {
            expand(template.as_bytes(), number).map(|text| String::from_utf8(text).unwrap())
        };
        for (template, number, expected) in [
            ("host$", 7, "host7"),
            ("h${0,3}", 7, "h007"),
            ("h${-5,3,d}x", 7, "h002x"),
            ("${0,4,x}", 255, "00ff"),
            ("${0,0,X}", 255, "FF"),
            ("${0,0,o}", 8, "10"),
            ("${0,2,n}", 10, "a."),
            ("${0,3,n}", 0x1a, "a.1"),
            ("${0,5,N}", 0x1a, "A.1.0"),
            ("a$$b\\$c", 1, "a$b\\$c"),
            ("${10}", 1, "11"),
        ] {
            assert_eq!(text(template, number).as_deref(), Ok(expected), "{template}");
        }
        assert_eq!(text("${", 1), Err("syntax error"));
        assert_eq!(text("${0,3,q}", 1), Err("syntax error"));
        assert_eq!(text("${-5}", 1), Err("out of range"));
        assert_eq!(text("${0,999}", 1), Err("ran out of space"));
    }
}

//! `$GENERATE start-stop[/step]`: text made from a template (BIND's extension).

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::one_of;
use nom::combinator::opt;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::RecordRef;
use super::diagnostics::{Kind, quoted, up_to_zero};
use super::lexer::{LexError, Lexed, Lexer, Line, PARAMS_AT, Quotes};
use super::reader::{File, GiveUp, Reader, Step};
use crate::dns::rdata::RdataTextError;
use crate::dns::{RrType, name, rdata};

/// Numbers from `start` to `stop`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: i32,
    stop: i32,
    step: i32,
}

/// Longest owner that a template may grow to.
const OWNER_BYTES_MAX: usize = 2_048;
/// Longest RDATA text that a template may grow to.
const RDATA_BYTES_MAX: usize = 65_535;
/// Longest number.
const NUMBER_BYTES_MAX: usize = 127;

/// What `%d` of C reads: a sign, digits; what does not fit loses its upper half, as in BIND.
fn integer(input: &[u8]) -> IResult<&[u8], i32> {
    let digits = take_while1(|byte: u8| byte.is_ascii_digit());
    let blanks = take_while(|byte: u8| byte.is_ascii_whitespace());
    (blanks, opt(one_of("+-")), digits)
        .map(|(_, sign, digits): (_, _, &[u8])| {
            let sign = if sign == Some('-') { -1 } else { 1 };
            let digit = |number: i64, digit: &u8| {
                number.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0'))
            };
            digits.iter().fold(0i64, digit) as i32
        })
        .parse_complete(input)
}

/// Reads `1-10` or `1-10/2`; `None` if it is anything else, descending, or without a step. What follows does
/// not matter, as in BIND.
pub(super) fn range(text: &[u8]) -> Option<Range> {
    let (rest, (start, _, stop)) = (integer, tag("-".as_bytes()), integer).parse_complete(text).ok()?;
    let step = match rest.strip_prefix(b"/") {
        Some(step) => integer(step).ok()?.1,
        None => 1,
    };
    (0 <= start && start <= stop && step > 0).then_some(Range { start, stop, step })
}

impl Range {
    /// The numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = i32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }
}

/// How a number is written: `${offset,width,base}`.
struct Modifier {
    offset: i32,
    width: usize,
    base: char,
}

fn modifier(input: &[u8]) -> IResult<&[u8], Modifier> {
    // BIND: a width of less than nothing is very large.
    let width = opt(preceded(tag(",".as_bytes()), integer.map(|width| width as u32 as usize)));
    let base = opt(preceded(tag(",".as_bytes()), one_of("doxXnN")));
    let mut grammar = delimited(tag("{".as_bytes()), (integer, width, base), tag("}".as_bytes()));
    let (rest, (offset, width, base)) = grammar.parse_complete(input)?;
    if width.is_none() && base.is_some() {
        return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify)));
    }
    Ok((rest, Modifier { offset, width: width.unwrap_or(0), base: base.unwrap_or('d') }))
}

/// Puts `number` in place of every `$` of `template`; `$$` and `\$` are a dollar sign.
pub(super) fn expand(template: &[u8], number: i32, bytes_max: usize) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    // BIND: an offset lasts until there is another one.
    let mut offset = 0;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'$', Some(b'$')) => {
                out.push(b'$');
                rest = &tail[1..];
            }
            (b'$', Some(b'{')) => {
                let (after, modifier) = modifier(tail).map_err(|_| "syntax error")?;
                offset = modifier.offset;
                write_number(sum(number, offset)?, &modifier, &mut out)?;
                rest = after;
            }
            (b'$', _) => out.extend(sum(number, offset)?.to_string().bytes()),
            (b'\\', Some(&escaped)) => {
                out.extend([byte, escaped]);
                rest = &tail[1..];
            }
            _ => out.push(byte),
        }
        if out.len() >= bytes_max {
            return Err("ran out of space");
        }
    }
    Ok(out)
}

fn sum(number: i32, offset: i32) -> Result<i32, &'static str> {
    number.checked_add(offset).ok_or("out of range")
}

fn write_number(value: i32, modifier: &Modifier, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Modifier { width, base, .. } = *modifier;
    if width > NUMBER_BYTES_MAX {
        return Err("ran out of space");
    }
    let start = out.len();
    match base {
        'd' => out.extend(format!("{value:0width$}").bytes()),
        'o' => out.extend(format!("{value:0width$o}").bytes()),
        'x' => out.extend(format!("{value:0width$x}").bytes()),
        'X' => out.extend(format!("{value:0width$X}").bytes()),
        _ => write_nibbles(value, width, base == 'N', out),
    }
    if out.len() - start > NUMBER_BYTES_MAX { Err("ran out of space") } else { Ok(()) }
}

/// Hexadecimal digits from the lowest on, with dots between them, as in ip6.arpa. `width` counts the dots.
fn write_nibbles(value: i32, width: usize, upper: bool, out: &mut Vec<u8>) {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let (mut rest, mut written) = (value as u32, 0);
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
    pub(super) fn generate<'a>(&mut self, file: &File, lexer: &mut Lexer<'a>, line: &Line<'a>) -> Step<()> {
        let range_text = self.token(file, line, 1)?;
        let owner = up_to_zero(self.token(file, line, 2)?);
        let (found, at, text) = self.ttl_and_class(file, line, 3)?;
        let Some(template) = line.tokens.get(at + 1) else {
            return Err(self.missing(file, line, Quotes::Expected));
        };
        if self.has_no_ttl() {
            self.error(file, line.on_first_line(0), Kind::GenerateNoTtl);
            self.ttl = 0;
        } else if found.ttl_at.is_none() {
            self.inherit_ttl();
        }
        self.check_class(file, line, found.class, at + 2)?;
        match (range(range_text), rdata::from_mnemonic(up_to_zero(text))) {
            (None, _) => self.error(file, line.on_first_line(1), Kind::GenerateRange(quoted(range_text))),
            (_, None) => self.error(file, line.on_first_line(at), Kind::GenerateType(quoted(text))),
            (_, Some(rtype)) if rtype.is_meta() && rtype.0 != 0 => {
                self.error(file, line.on_first_line(at), Kind::GenerateMeta(quoted(text)));
            }
            (Some(range), Some(rtype)) => {
                let is_open = lexer.is_open_behind(line, at + 2);
                let template =
                    Template { owner, rtype, rdata: up_to_zero(template.text), rdata_at: at + 1, is_open };
                let mut numbers = range.numbers();
                let flaw = numbers.find_map(|number| self.generate_one(file, line, &template, number).err());
                if let Some(flaw) = flaw {
                    self.error(file, line.on_first_line(flaw.token), Kind::Generate(flaw.reason));
                    if is_open && flaw.is_read {
                        return Err(self.leave_open(file, lexer, line, at + 2));
                    }
                }
            }
        }
        self.expect_end(file, line, at + 2)
    }

    /// BIND: reads what is made with the lexer of the file, whose parentheses do not go on into it; so they are closed.
    fn leave_open<'a>(&mut self, file: &File, lexer: &mut Lexer<'a>, line: &Line<'a>, end: usize) -> GiveUp {
        lexer.rewind_closed(line, end);
        match lexer.token(Quotes::Special) {
            Ok(Lexed::EndOfLine) => return GiveUp::NextLine,
            Ok(Lexed::Special) => self.error(file, line.on_first_line(end), Kind::Syntax("syntax error")),
            Ok(_) => self.error(file, line.on_first_line(end), Kind::Syntax("extra input text")),
            // It is met again on the way to the end of the line.
            Err(_) => lexer.rewind_closed(line, end),
        }
        GiveUp::Skip
    }

    fn generate_one(
        &mut self,
        file: &File,
        line: &Line<'_>,
        template: &Template<'_>,
        number: i32,
    ) -> Result<(), Flaw> {
        let in_owner = |reason| Flaw { token: 2, reason, is_read: false };
        let in_rdata = |reason| Flaw { token: template.rdata_at, ..in_owner(reason) };
        let owner = expand(template.owner, number, OWNER_BYTES_MAX).map_err(in_owner)?;
        let text = expand(template.rdata, number, RDATA_BYTES_MAX).map_err(in_rdata)?;
        let mut wire = Vec::with_capacity(owner.len() + 32);
        name::parse_into(&owner, Some(file.origin.as_wire()), &mut wire)
            .map_err(|error| in_owner(rdata::name_reason(error)))?;
        if !name::is_at_or_below(&wire, self.zone.as_wire()) {
            self.warn(file, line.on_first_line(2), Kind::OutOfZone(file.name_of(&wire)));
            return Ok(());
        }
        let mut lexer = Lexer::new(&text);
        let mut made = Line::default();
        lexer.next_line(&mut made);
        if matches!(template.rtype, RrType::SVCB | RrType::HTTPS) {
            made.join_pairs(PARAMS_AT, lexer.file());
        }
        let mut octets = Vec::new();
        let parsed =
            rdata::from_text(self.options.class, template.rtype, &made.tokens, &file.origin, &mut octets);
        let open = template.is_open.then_some(LexError::OpenParentheses);
        let lexical = made.error.or(open).map(LexError::reason);
        let reason = match parsed {
            // What is missing is looked for first.
            Err(RdataTextError { token, reason: "unexpected end of input" })
                if token >= made.tokens.len() =>
            {
                lexical.or(Some("unexpected end of input"))
            }
            Err(error) => Some(error.reason),
            Ok(()) => lexical,
        };
        if let Some(reason) = reason {
            return Err(Flaw { is_read: true, ..in_rdata(reason) });
        }
        self.commit_generated(file, &wire, line, template.rtype, &octets);
        Ok(())
    }
}

/// What the numbers are put into.
struct Template<'a> {
    owner: &'a [u8],
    rtype: RrType,
    rdata: &'a [u8],
    rdata_at: usize,
    /// Whether it stands in parentheses.
    is_open: bool,
}

/// What is wrong with a record that is made, and which token of the line it comes from.
struct Flaw {
    token: usize,
    reason: &'static str,
    /// Whether its RDATA has been read.
    is_read: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_ascend_and_have_a_step() {
        let numbers = |text: &str| range(text.as_bytes()).map(|range| range.numbers().collect::<Vec<_>>());
        assert_eq!(numbers("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(numbers("1-6/2"), Some(vec![1, 3, 5]));
        assert_eq!(numbers("+1-2x"), Some(vec![1, 2]));
        assert_eq!(numbers("4294967297-4294967298"), Some(vec![1, 2]));
        for bad in ["", "1", "3-1", "1-3/0", "1-3/", "x", "1-3//1", "-1-3", "1-3000000000"] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }

    #[test]
    fn templates_are_filled_in_as_bind_does() {
        let text = |template: &str, number| {
            expand(template.as_bytes(), number, 1000).map(|text| String::from_utf8(text).unwrap())
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
            ("${1}$", 1, "22"),
            ("${-5}", 1, "-4"),
            ("${99999999999}", 0, "1215752191"),
        ] {
            assert_eq!(text(template, number).as_deref(), Ok(expected), "{template}");
        }
        assert_eq!(text("${", 1), Err("syntax error"));
        assert_eq!(text("${0,3,q}", 1), Err("syntax error"));
        assert_eq!(text("${0,128}", 1), Err("ran out of space"));
    }
}

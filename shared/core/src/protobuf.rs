//! The wire format of Protocol Buffers: reads and writes the fields of one message.
//!
//! Policies speak to services with a handful of small messages. A generated or derived decoder for them would be
//! larger than the rest of a module's use of it; here a message is a loop over [`Fields`].
//!
//! The reader is for bytes that nobody vouches for. It never copies, never recurses and never allocates, so the caller
//! alone decides how much a message may cost. It refuses what no proto3 encoder writes: groups, field number 0, and
//! varints beyond 64 bits.
//!
//! ```
//! use portcullis_core::protobuf::{Fields, Message, Value};
//!
//! let mut message = Message::default();
//! message.text(1, "edge").number(3, 5);
//! let bytes = message.into_bytes();
//! let mut fields = Fields::of(&bytes);
//! assert_eq!(fields.next(), Some(Ok((1, Value::Bytes(b"edge")))));
//! assert_eq!(fields.next(), Some(Ok((3, Value::Number(5)))));
//! assert_eq!(fields.next(), None);
//! ```

pub mod json;

/// The bytes are not a message, or not of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, a boolean or an enum.
    Number(u64),
    /// A `fixed64`, `sfixed64` or `double`.
    Fixed64([u8; 8]),
    /// A text, bytes or an embedded message.
    Bytes(&'a [u8]),
    /// A `fixed32`, `sfixed32` or `float`.
    Fixed32([u8; 4]),
}

impl<'a> Value<'a> {
    /// The value as a `uint64`.
    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Malformed),
        }
    }

    /// The value as a `uint32` or an enum without negative values.
    pub fn number32(self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// The value as an `int64` or `int32`: negative numbers have 64 bits in both.
    pub fn signed(self) -> Result<i64, Malformed> {
        self.number().map(u64::cast_signed)
    }

    /// The value as bytes or an embedded message.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// The value as text.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// The fields of a message with their numbers, in the order of the bytes. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of this message.
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(self.array()?),
            _ => return Err(Malformed),
        };
        match tag >> 3 {
            0 => Err(Malformed),
            number => Ok((number, value)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// A message in the making. A number of 0 and an empty text are the defaults of proto3, which are not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds an integer, unless it is 0.
    pub fn number(&mut self, field: u32, number: u64) -> &mut Self {
        if number != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(number);
        }
        self
    }

    /// Adds a text, unless it is empty.
    pub fn text(&mut self, field: u32, text: &str) -> &mut Self {
        match text {
            "" => self,
            text => self.bytes(field, text.as_bytes()),
        }
    }

    /// Adds an embedded message, even if it is empty.
    pub fn message(&mut self, field: u32, message: &Message) -> &mut Self {
        self.bytes(field, &message.0)
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    /// The examples of the encoding's specification.
    #[test]
    fn every_wire_type_is_read() {
        assert_eq!(read(b"\x08\x96\x01"), Ok(vec![(1, Value::Number(150))]));
        assert_eq!(
            read(b"\x12\x07testing"),
            Ok(vec![(2, Value::Bytes(b"testing"))])
        );
        assert_eq!(
            read(b"\x09\0\0\0\0\0\0\xf0\x3f\x1d\0\0\x80\x3f"),
            Ok(vec![
                (1, Value::Fixed64(1.0_f64.to_le_bytes())),
                (3, Value::Fixed32(1.0_f32.to_le_bytes()))
            ])
        );
        let minus_two = b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read(minus_two).unwrap()[0].1.signed(), Ok(-2));
    }

    #[test]
    fn what_no_encoder_writes_is_malformed() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x12\x05abc",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x09\0\0\0",
            b"\x1d\0\0",
            // A group, an unknown type, field 0, varints of 65 and of 77 bits, a field number beyond 32 bits.
            b"\x0b\x0c",
            b"\x0f",
            b"\x00\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
            b"\x80\x80\x80\x80\x80\x01\x01",
        ] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:x?}");
        }
    }

    #[test]
    fn values_have_a_kind() {
        assert_eq!(Value::Number(1 << 32).number32(), Err(Malformed));
        assert_eq!(Value::Number(1).bytes(), Err(Malformed));
        assert_eq!(Value::Bytes(b"a").number(), Err(Malformed));
        assert_eq!(Value::Bytes(b"\xff").text(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields: Vec<(u16, u64, String)>) {
            let mut message = Message::default();
            let mut expected = Vec::new();
            for (field, number, text) in &fields {
                let field = u32::from(*field) + 1;
                message.number(field, *number).text(field, text);
                if *number > 0 {
                    expected.push((field, Value::Number(*number)));
                }
                if !text.is_empty() {
                    expected.push((field, Value::Bytes(text.as_bytes())));
                }
            }
            let bytes = message.into_bytes();
            prop_assert_eq!(read(&bytes), Ok(expected));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}

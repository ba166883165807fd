//! The encoding of header maps in the ABI: their number, the sizes of all names and values, then the names and values,
//! each followed by a NUL. Numbers have 32 bits, little-endian.

use bytes::Bytes;
use portcullis_core::headers::HeaderMap;

/// Decodes a header map. The entries share the memory of `block`. `None` if it is malformed, which a correct host
/// never causes.
pub(crate) fn decode(block: Vec<u8>) -> Option<Vec<(Bytes, Bytes)>> {
    if block.is_empty() {
        return Some(Vec::new());
    }
    let block = Bytes::from(block);
    let (count, rest) = block.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let sizes = rest.get(..count.checked_mul(8)?)?;

    let mut position = 4 + sizes.len();
    let mut take = |size: [u8; 4]| {
        let size = usize::try_from(u32::from_le_bytes(size)).ok()?;
        let end = position.checked_add(size)?;
        if end >= block.len() {
            return None;
        }
        let bytes = block.slice(position..end);
        position = end + 1;
        Some(bytes)
    };
    let mut entries = Vec::with_capacity(count.saturating_add(HeaderMap::EXPECTED_CHANGES));
    for entry in sizes.chunks_exact(8) {
        let (name, value) = entry.split_first_chunk::<4>()?;
        entries.push((take(*name)?, take(*value.first_chunk()?)?));
    }
    Some(entries)
}

/// Encodes a header map.
pub(crate) fn encode<'a>(
    entries: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Vec<u8> {
    let content: usize = entries
        .clone()
        .map(|(name, value)| name.len() + value.len() + 10)
        .sum();
    let mut block = Vec::with_capacity(4 + content);
    let size = |block: &mut Vec<u8>, size: usize| {
        // No header map has 4 GiB; a truncated size would only make the host refuse the block.
        block.extend_from_slice(&(size as u32).to_le_bytes());
    };
    size(&mut block, entries.len());
    for (name, value) in entries.clone() {
        size(&mut block, name.len());
        size(&mut block, value.len());
    }
    for (name, value) in entries {
        block.extend_from_slice(name);
        block.push(0);
        block.extend_from_slice(value);
        block.push(0);
    }
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_of(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        encode(entries.iter().map(|(name, value)| (&name[..], &value[..])))
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            entries in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20),
        ) {
            let decoded = decode(block_of(&entries)).unwrap();
            let decoded: Vec<_> = decoded.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(decoded, entries);
        }

        #[test]
        fn a_damaged_block_is_refused_or_read_but_never_a_panic(
            entries in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5),
            cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let mut block = block_of(&entries);
            let at = flip.index(block.len());
            block[at] ^= with;
            block.truncate(cut.index(block.len()));
            let _ = decode(block);
        }
    }

    #[test]
    fn a_count_beyond_the_block_is_refused() {
        assert_eq!(decode(vec![0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(decode(vec![1, 0, 0]), None);
    }
}

package stream

import (
	"hash/maphash"
	"strconv"
)

// keySet remembers which keys there were. Whole numbers that lie close together, as ids mostly do, take a bit each. Others take 8
// bytes, and up to twice as much that is free: a key is known by a hash of 64 bits, with a seed of its own. Among 100 million of
// them, two are taken for one with a probability of 1 to 3,700, and in another run it would be two others.
type keySet struct {
	numbers map[uint64]*block // by their upper bits; nil: numbers are hashed as well
	last    *block
	lastAt  uint64
	seed    maphash.Seed
	slots   []uint64 // 0: free
	n       int      // keys in slots
	dense   int      // keys in numbers
}

// block has a bit for each of the numbers whose upper bits are the same.
type block [1 << (blockBits - 6)]uint64

const (
	blockBits = 16
	blockSize = 1 << (blockBits - 3) // bytes
)

func newKeySet() *keySet {
	return &keySet{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<10), numbers: map[uint64]*block{}}
}

// add returns false where the key is there already.
func (s *keySet) add(key []byte) bool {
	if s.numbers != nil {
		if n, ok := number(key); ok {
			return s.addNumber(n)
		}
	}
	return s.addHash(maphash.Bytes(s.seed, key))
}

// number returns the number that a key is, where no other text is the same number.
func number(key []byte) (n uint64, ok bool) {
	if len(key) == 0 || len(key) > 18 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	for _, c := range key {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

func (s *keySet) addNumber(n uint64) bool {
	at := n >> blockBits
	b := s.last
	if b == nil || s.lastAt != at {
		if b = s.numbers[at]; b == nil {
			if len(s.numbers)*blockSize > 1<<20+16*s.dense { // they lie too far apart
				s.spread()
				return s.addHash(maphash.Bytes(s.seed, strconv.AppendUint(nil, n, 10)))
			}
			b = new(block)
			s.numbers[at] = b
		}
		s.last, s.lastAt = b, at
	}
	i := n & (1<<blockBits - 1)
	word, bit := &b[i>>6], uint64(1)<<(i&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.dense++
	return true
}

// spread turns the numbers into hashes.
func (s *keySet) spread() {
	var text [20]byte
	for at, b := range s.numbers {
		for i := range uint64(1 << blockBits) {
			if b[i>>6]&(1<<(i&63)) != 0 {
				s.addHash(maphash.Bytes(s.seed, strconv.AppendUint(text[:0], at<<blockBits|i, 10)))
			}
		}
	}
	s.numbers, s.last = nil, nil
}

func (s *keySet) addHash(h uint64) bool {
	if s.n >= len(s.slots)/4*3 {
		s.grow()
	}
	if !s.put(h) {
		return false
	}
	s.n++
	return true
}

// put puts h into its slot; false: it is there.
func (s *keySet) put(h uint64) bool {
	if h == 0 {
		h = 1
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case 0:
			s.slots[i] = h
			return true
		case h:
			return false
		}
	}
}

func (s *keySet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			s.put(h)
		}
	}
}

package level3sparse

// element is a member of GF(2^16), a polynomial over bits modulo
// x^16 + x^12 + x^3 + x + 1. Addition is exclusive or.
type element uint16

const reduction = 0x100B // x^16, reduced

// times multiplies without tables or branches on data.
func (a element) times(b element) element {
	var sum uint16
	x := uint16(a)
	for i := range 16 {
		sum ^= x & -(uint16(b) >> i & 1)
		x = x<<1 ^ reduction&-(x>>15)
	}
	return element(sum)
}

// inverse is a^(2^16−2), which for 0 is 0.
func (a element) inverse() element {
	result, power := element(1), a
	for range 15 {
		power = power.times(power)
		result = result.times(power)
	}
	return result
}

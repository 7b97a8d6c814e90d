package vectors

import "slices"

// Row says what becomes of one file's tests in one package: how many the file
// holds, how many must run, by outcome, and how many are left out, by reason.
type Row struct {
	File    string // below testdata, without ".gz"
	Package string // whose entry points run it
	Test    string // the test of that package that counts it
	Holds   int
	Runs    map[string]int
	Skips   map[string]int
}

// Outcomes.
const (
	Agreed      = "both ends agree on the stated secret"
	OffCurve    = "x of no point of P-256: refused"
	OtherForm   = "not 32 bytes: refused, whatever point it wraps"
	Verified    = "valid: accepted"
	Refused     = "invalid: refused"
	HighS       = "valid but for its high s: refused by V-07"
	DERRefused  = "DER form: refused by V-05"
	OtherHash   = "signed over SHA-512: refused by V-05 or V-07"
	Signed      = "signed to the stated bytes"
	ContextLong = "context of more than 255 bytes: refused"
	KeyLength   = "public key of another length: refused by V-03"
	Generated   = "seed gives the stated public key"
	Decapsed    = "decapsulated to the stated secret"
	Encapsed    = "encapsulated to the stated secret and ciphertext"
	Unreduced   = "key with a coefficient of q or more: refused"
	EKLength    = "key of another length: refused"
	CTLength    = "ciphertext of another length: refused"
	SeedLength  = "seed of another length: refused as a stored key"
	Derived     = "derived the stated bytes"
	TagEqual    = "tag as stated"
	TagOther    = "modified tag: another one is computed"
	PlainCTR    = "plain counter mode gives the stated bytes, and messages are encrypted by it"
	Opened      = "opened to the stated plaintext"
)

// Reasons for leaving a test out.
const (
	OnlySeeds    = "expanded private key: Go and this project take 64-byte seeds only"
	OnlyECDH32   = "the field has 32 bytes, so the wire cannot hold this encoding"
	DraftKeys    = "key pair by the rule of the FIPS 203 draft, which the standard changed"
	OtherKEM     = "ML-KEM-512 is not used"
	OtherSet     = "the other parameter set is run by another row"
	ExternalMu   = "signs a hash that is given, which the API does not offer"
	SeedWidth    = "seeds are arrays of 32 bytes, so another length cannot be passed"
	NoLimit      = "asks for more than HKDF has; the core asks for 64 bytes at most and has no such check"
	OtherKeySize = "the product uses 256-bit keys only"
	OtherNonce   = "the product uses 96-bit nonces only"
	CutTag       = "the product's MAC ends before the place that was modified"
)

// The other files; those of ECDH have their own names.
const (
	ECDSA       = "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"
	ECDSADER    = "wycheproof/ecdsa_secp256r1_sha256_test.json"
	ECDSA512    = "wycheproof/ecdsa_secp256r1_sha512_p1363_test.json"
	MLDSAVerify = "wycheproof/mldsa_65_verify_test.json"
	MLDSASign   = "wycheproof/mldsa_65_sign_seed_test.json"
	RFC6979     = "cctv/RFC6979/p256-sha256-rejection.txt"

	KEM768          = "wycheproof/mlkem_768_test.json"
	KEM768Encaps    = "wycheproof/mlkem_768_encaps_test.json"
	KEM768KeyGen    = "wycheproof/mlkem_768_keygen_seed_test.json"
	KEM768Expanded  = "wycheproof/mlkem_768_semi_expanded_decaps_test.json"
	KEM768Modulus   = "cctv/ML-KEM/modulus/ML-KEM-768.txt"
	KEM768Steps     = "cctv/ML-KEM/intermediate/ML-KEM-768.txt"
	KEM768Unlucky   = "cctv/ML-KEM/unluckysample/ML-KEM-768.txt"
	KEM768Strcmp    = "cctv/ML-KEM/strcmp/ML-KEM-768.txt"
	KEM1024         = "wycheproof/mlkem_1024_test.json"
	KEM1024Encaps   = "wycheproof/mlkem_1024_encaps_test.json"
	KEM1024KeyGen   = "wycheproof/mlkem_1024_keygen_seed_test.json"
	KEM1024Expanded = "wycheproof/mlkem_1024_semi_expanded_decaps_test.json"
	KEM1024Modulus  = "cctv/ML-KEM/modulus/ML-KEM-1024.txt"
	KEM1024Steps    = "cctv/ML-KEM/intermediate/ML-KEM-1024.txt"
	KEM1024Unlucky  = "cctv/ML-KEM/unluckysample/ML-KEM-1024.txt"
	KEM1024Strcmp   = "cctv/ML-KEM/strcmp/ML-KEM-1024.txt"
	ACVPEncaps      = "acvp/ML-KEM-encapDecap-FIPS203/prompt.json"
	ACVPKeyGen      = "acvp/ML-KEM-keyGen-FIPS203/prompt.json"

	HKDF384 = "wycheproof/hkdf_sha384_test.json"
	HMAC384 = "wycheproof/hmac_sha384_test.json"
	HMAC256 = "wycheproof/hmac_sha256_test.json"
	AESCTR  = "nist/sp800-38a-ctr-aes256.txt"
	AESGCM  = "wycheproof/aes_gcm_test.json"
)

type counts = map[string]int

// Rows is the table.
var Rows = slices.Concat(ecdhRows(), signatureRows, kemRows, symmetricRows)

var signatureRows = []Row{
	{ECDSA, "account", "TestVectorsECDSA", 262, counts{Verified: 103, HighS: 70, Refused: 89}, counts{}},
	{ECDSADER, "account", "TestVectorsECDSAInDER", 484, counts{DERRefused: 484}, counts{}},
	{ECDSA512, "account", "TestVectorsECDSAOtherHash", 332, counts{OtherHash: 332}, counts{}},
	{MLDSAVerify, "account", "TestVectorsMLDSAVerify", 210, counts{Verified: 79, Refused: 127, KeyLength: 4}, counts{}},
	{MLDSASign, "account", "TestVectorsMLDSASign", 105, counts{Signed: 83, Verified: 1, ContextLong: 1}, counts{ExternalMu: 17, SeedWidth: 3}},
	{RFC6979, "account", "TestVectorsRFC6979", 1, counts{Signed: 1}, counts{}},
}

var kemRows = []Row{
	{KEM1024Encaps, "account", "TestVectorsBundleKEM", 269, counts{Encapsed: 133, Unreduced: 116, EKLength: 20}, counts{}},
	{KEM1024Modulus, "account", "TestVectorsBundleKEMModulus", 1040, counts{Unreduced: 1040}, counts{}},
	{ACVPEncaps, "account", "TestVectorsBundleKEMFromACVP", 105, counts{Encapsed: 25}, counts{OtherKEM: 35, OtherSet: 35, OnlySeeds: 10}},

	{KEM768Encaps, "pq3", "TestVectorsAdvertisedKEM", 265, counts{Encapsed: 133, Unreduced: 112, EKLength: 20}, counts{}},
	{KEM768Modulus, "pq3", "TestVectorsAdvertisedKEMModulus", 780, counts{Unreduced: 780}, counts{}},
	{ACVPEncaps, "pq3", "TestVectorsAdvertisedKEMFromACVP", 105, counts{Encapsed: 25}, counts{OtherKEM: 35, OtherSet: 35, OnlySeeds: 10}},
	{ACVPKeyGen, "pq3", "TestVectorsKEMKeyPairs", 75, counts{Generated: 50}, counts{OtherKEM: 25}},
	{KEM768KeyGen, "pq3", "TestVectorsKEMKeyPairs", 100, counts{Generated: 100}, counts{}},
	{KEM1024KeyGen, "pq3", "TestVectorsKEMKeyPairs", 100, counts{Generated: 100}, counts{}},
	{KEM768, "pq3", "TestVectorsStoredKEM", 201, counts{Decapsed: 161, CTLength: 20, SeedLength: 20}, counts{}},
	{KEM1024, "pq3", "TestVectorsStoredKEM", 202, counts{Decapsed: 162, CTLength: 20, SeedLength: 20}, counts{}},
	{KEM1024, "suite/level2", "TestVectorsKEM", 202, counts{Decapsed: 162, CTLength: 20, SeedLength: 20}, counts{}},
	{KEM768, "suite/level3", "TestVectorsKEM", 201, counts{Decapsed: 161, CTLength: 20, SeedLength: 20}, counts{}},
	{KEM1024, "suite/level3", "TestVectorsKEM", 202, counts{Decapsed: 162, CTLength: 20, SeedLength: 20}, counts{}},
	{KEM768Expanded, "pq3", "TestVectorsExpandedKeysAreLeftOut", 9, counts{}, counts{OnlySeeds: 9}},
	{KEM1024Expanded, "pq3", "TestVectorsExpandedKeysAreLeftOut", 9, counts{}, counts{OnlySeeds: 9}},
	{KEM768Steps, "pq3", "TestVectorsKEMSteps", 3, counts{Encapsed: 1}, counts{DraftKeys: 1, OnlySeeds: 1}},
	{KEM1024Steps, "pq3", "TestVectorsKEMSteps", 3, counts{Encapsed: 1}, counts{DraftKeys: 1, OnlySeeds: 1}},
	{KEM768Unlucky, "pq3", "TestVectorsKEMSteps", 3, counts{Encapsed: 1}, counts{DraftKeys: 1, OnlySeeds: 1}},
	{KEM1024Unlucky, "pq3", "TestVectorsKEMSteps", 3, counts{Encapsed: 1}, counts{DraftKeys: 1, OnlySeeds: 1}},
	{KEM768Strcmp, "pq3", "TestVectorsExpandedKeysAreLeftOut", 1, counts{}, counts{OnlySeeds: 1}},
	{KEM1024Strcmp, "pq3", "TestVectorsExpandedKeysAreLeftOut", 1, counts{}, counts{OnlySeeds: 1}},
}

var symmetricRows = []Row{
	{HKDF384, "pq3", "TestVectorsHKDF", 83, counts{Derived: 80}, counts{NoLimit: 3}},
	{HMAC384, "pq3", "TestVectorsHMAC", 174, counts{TagEqual: 66, TagOther: 108}, counts{}},
	{AESCTR, "pq3", "TestVectorsCTR", 2, counts{PlainCTR: 2}, counts{}},
	{HMAC256, "server", "TestVectorsHMAC256", 174, counts{TagEqual: 54, TagOther: 100}, counts{OtherKeySize: 12, CutTag: 8}},
	{AESGCM, "client/localdb", "TestVectorsAESGCM", 316, counts{Opened: 39, Refused: 27}, counts{OtherKeySize: 211, OtherNonce: 39}},
}

// ecdhRows: the four files hold one series of points, and three packages lift.
func ecdhRows() (rows []Row) {
	for _, f := range []struct {
		file             string
		holds, off, rest int
	}{{ECDHPoint, 355, 19, 6}, {ECDHSPKI, 612, 12, 270}, {ECDHPEM, 612, 12, 270}, {ECDHJWK, 353, 12, 11}} {
		rows = append(rows,
			Row{f.file, "internal/xonly", "TestVectorsECDH", f.holds, counts{Agreed: 330, OffCurve: f.off, OtherForm: f.rest}, counts{}},
			Row{f.file, "account", "TestVectorsBundleECDH", f.holds, counts{Agreed: 330, OffCurve: f.off}, counts{OnlyECDH32: f.rest}},
			Row{f.file, "pq3", "TestVectorsRatchetECDH", f.holds, counts{Agreed: 330, OffCurve: f.off}, counts{OnlyECDH32: f.rest}},
		)
	}
	return rows
}

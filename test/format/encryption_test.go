package format

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/encoding/protowire"
)

// version is a record of a version or an upload, and where it lies.
type version struct {
	bucketID, bucket, key string
	all                   []field
}

// version returns an object's version; there must be one only.
func (d *directory) version(bucket, key string) (v version, ok bool) {
	d.t.Helper()
	b, _ := fields(d.records["b/"+bucket])
	id := string(get(b, 1).bytes)
	for k, value := range d.records {
		if strings.HasPrefix(k, "v/"+id+"/"+key+"\x00") && len(k) == len("v/")+8+1+len(key)+1+8 {
			all, _ := fields(value)
			return version{id, bucket, key, all}, true
		}
	}
	d.t.Errorf("%s has no version", key)
	return version{}, false
}

// upload returns an upload in progress; the key must have one only.
func (d *directory) upload(bucket, key string) (v version) {
	d.t.Helper()
	b, _ := fields(d.records["b/"+bucket])
	id := string(get(b, 1).bytes)
	for k, value := range d.records {
		if strings.HasPrefix(k, "m/"+id+"/"+key+"\x00") {
			all, _ := fields(value)
			return version{id, bucket, key, all}
		}
	}
	d.t.Fatalf("%s has no upload", key)
	return version{}
}

func (v version) unique() []byte { return get(v.all, 2).bytes }

// payload returns the unique under which the bytes are stored, and to which they are bound.
func (v version) payload() []byte {
	if u := get(v.all, 38).bytes; len(u) > 0 {
		return u
	}
	return v.unique()
}

// binding returns the binding of an object's data key.
func (v version) binding() []byte {
	return slices.Concat([]byte("watertight object\x00"+v.bucketID), v.payload(), []byte(v.key))
}

// partBinding returns the binding of a part's data key.
func (v version) partBinding(number uint16) []byte {
	b := slices.Concat([]byte("watertight part\x00"+v.bucketID), v.payload())
	return append(binary.BigEndian.AppendUint16(b, number), v.key...)
}

// context is the encryption context of a version under a key of KMS.
func (v version) context() []byte {
	pairs := map[string]string{"aws:s3:arn": "arn:aws:s3:::" + v.bucket + "/" + v.key}
	if get(v.all, 32).uint != 0 {
		pairs["aws:s3:arn"] = "arn:aws:s3:::" + v.bucket
	}
	for _, f := range v.all {
		if f.number == 33 {
			name, n := protowire.ConsumeBytes(f.bytes)
			pairs[string(name)] = string(f.bytes[n:])
		}
	}
	return canonical(pairs)
}

// canonical is an encryption context in the form that ciphertexts are bound to.
func canonical(pairs map[string]string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(pairs)))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		for _, s := range []string{name, pairs[name]} {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
		}
	}
	return b
}

// material opens a material of a key, and checks that its id is the one it must have.
func (d *directory) material(key, id []byte) []byte {
	d.t.Helper()
	h := hex.EncodeToString(key)
	uuid := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	all, ok := fields(d.records["k/m/"+uuid+"/"+string(id)])
	if !ok {
		d.t.Fatalf("key %s has no material %x", uuid, id)
	}
	m := d.opened("key material", "watertight kms material", get(all, 2).bytes,
		slices.Concat([]byte("watertight kms material\x00"), key, id))
	sum := hmac.New(sha256.New, m)
	sum.Write(append([]byte("watertight kms material id"), key...))
	if !bytes.Equal(sum.Sum(nil), id) {
		d.t.Errorf("the material %x of key %s has the id of another one", id, uuid)
	}
	return m
}

// decrypt opens a data key of a service, in either form, which is a ciphertext of KMS.
func (d *directory) decrypt(ciphertext, bound []byte) []byte {
	d.t.Helper()
	if len(ciphertext) < 82 || ciphertext[0] != 1 {
		d.t.Fatalf("the ciphertext of KMS is %x", ciphertext)
	}
	header := ciphertext[:66]
	material := d.material(header[2:18], header[18:50])
	var key []byte
	var err error
	switch header[1] {
	case 2:
		key, err = hkdf.Expand(sha256.New, material, "watertight kms data key"+string(header[50:]), 32)
	case 3:
		key = oneStep(material, "kms", header[50:])
	default:
		d.t.Fatalf("the ciphertext of KMS is %x", ciphertext)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return d.open("a ciphertext of KMS", key, make([]byte, 12), ciphertext[66:], slices.Concat(header, bound))
}

// oneStep is the one-step key derivation of the page.
func oneStep(key []byte, label string, salt []byte) []byte {
	sum := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 1}, key, []byte(label), salt))
	return sum[:]
}

// dataKeys opens a stored data key of any scheme: one key, or the inner and the outer
// one of DSSE.
func (d *directory) dataKeys(v version, stored, binding []byte) [][]byte {
	d.t.Helper()
	bound := func(layer byte) []byte { return slices.Concat([]byte{layer}, v.context(), binding) }
	switch algorithm := get(v.all, 12).uint; {
	case algorithm == 1 && stored[0] == 1:
		return [][]byte{d.dataKey(stored, binding)}
	case algorithm == 2 && (stored[0] == 2 || stored[0] == 5):
		return [][]byte{d.customersDataKey(stored, binding)}
	case algorithm == 3 && stored[0] == 3:
		return [][]byte{d.decrypt(stored[1:], bound(1))}
	case algorithm == 4 && stored[0] == 4:
		end := 3 + int(binary.BigEndian.Uint16(stored[1:]))
		return [][]byte{d.decrypt(stored[3:end], bound(1)), d.decrypt(stored[end:], bound(2))}
	}
	d.t.Fatalf("%s: the data key is %x, encryption %d", v.key, stored, get(v.all, 12).uint)
	return nil
}

// customersDataKey opens a data key under the key that populate sends.
func (d *directory) customersDataKey(stored, binding []byte) []byte {
	d.t.Helper()
	header := stored[:21]
	if stored[0] == 5 {
		header = stored[:25]
	}
	salt := string(stored[5:21])
	outer, err := hkdf.Expand(sha256.New, d.service(binary.BigEndian.Uint32(stored[1:])),
		"watertight sse-c outer wrap"+salt, 32)
	if err != nil {
		d.t.Fatal(err)
	}
	inner := d.open("a wrapped key of SSE-C", outer, make([]byte, 12), stored[len(header):],
		slices.Concat(header, binding))
	first := stored[1:5]
	if stored[0] == 5 {
		first = stored[21:25]
	}
	key, _ := customersKey()
	return d.open("a data key of SSE-C", d.derive([]byte(key), []byte(salt), "watertight sse-c inner wrap"),
		make([]byte, 12), inner, slices.Concat([]byte{2}, first, []byte(salt), binding))
}

// layered opens a stream in one layer or two.
func (d *directory) layered(what string, keys [][]byte, sealed []byte) (plain []byte) {
	d.t.Helper()
	if len(keys) == 1 {
		return d.stream(what, keys[0], sealed)
	}
	inner, err := chacha20poly1305.New(keys[0])
	if err != nil {
		d.t.Fatal(err)
	}
	for n := uint64(0); ; n++ {
		size := min(len(sealed), 65536+32)
		nonce := make([]byte, 12)
		binary.BigEndian.PutUint64(nonce[3:], n)
		if size == len(sealed) {
			nonce[11] = 1
		}
		chunk, err := inner.Open(nil, nonce, d.open(what, keys[1], nonce, sealed[:size], nil), nil)
		if err != nil {
			d.t.Fatalf("%s: chunk %d of the inner layer: %v", what, n, err)
		}
		plain = append(plain, chunk...)
		if sealed = sealed[size:]; len(sealed) == 0 {
			return plain
		}
	}
}

// sealedBytes returns the sealed bytes of an object or a part, inline or in a blob.
func (d *directory) sealedBytes(unique, blob []byte) []byte {
	d.t.Helper()
	if len(blob) == 0 {
		return d.records["d/"+string(unique)]
	}
	name := fmt.Sprintf("%x", blob)
	if len(blob) == 32 {
		name = string(blob)
	}
	if name[0] == 's' {
		return d.extent(name)
	}
	return d.file("blobs/" + name[:2] + "/" + name)
}

// checksum opens a sealed checksum.
func (d *directory) checksum(keys [][]byte, sealed []byte) []byte {
	d.t.Helper()
	if len(sealed) < 28 {
		d.t.Fatalf("the sealed checksum is %x", sealed)
	}
	var salt []byte
	if len(keys) == 2 {
		salt = keys[1]
	} else if block, err := aes.NewCipher(oneStep(keys[0], "sum", make([]byte, 16))); err == nil {
		if gcm, err := cipher.NewGCM(block); err == nil {
			if sum, err := gcm.Open(nil, sealed[:12], sealed[12:], nil); err == nil {
				return sum
			}
		}
	}
	return d.open("a checksum", d.derive(keys[0], salt, "watertight checksum"), sealed[:12], sealed[12:], nil)
}

// part opens a part of an upload or of the version that it became.
func (d *directory) part(v version, record []byte) (plain []byte, sum []byte) {
	d.t.Helper()
	p, ok := fields(record)
	if !ok {
		d.t.Fatalf("%s: the part is %x", v.key, record)
	}
	number := uint16(get(p, 1).uint)
	keys := d.dataKeys(v, get(p, 9).bytes, v.partBinding(number))
	sealed := d.sealedBytes(get(p, 2).bytes, get(p, 10).bytes)
	plain = d.layered(fmt.Sprintf("part %d of %s", number, v.key), keys, sealed)
	if want := sha256.Sum256(plain); !bytes.Equal(d.checksum(keys, get(p, 11).bytes), want[:]) {
		d.t.Errorf("part %d of %s: its checksum is another one", number, v.key)
	}
	sum = d.checksum(keys, get(p, 11).bytes)
	return plain, sum
}

// checkEncrypted opens what encryptedObjects wrote.
func checkEncrypted(d *directory) {
	d.t.Helper()
	for _, e := range encryptions() {
		for name, want := range map[string][]byte{"small": inline(), "large": large()} {
			v, ok := d.version(encryptedBox, e.name+" "+name)
			if !ok {
				continue
			}
			keys := d.dataKeys(v, get(v.all, 18).bytes, v.binding())
			sum := sha256.Sum256(want)
			sealed := d.sealedBytes(v.payload(), get(v.all, 19).bytes)
			if got := d.layered(v.key, keys, sealed); !bytes.Equal(got, want) {
				d.t.Errorf("the bytes of %s differ (%d bytes)", v.key, len(got))
			}
			if !bytes.Equal(d.checksum(keys, get(v.all, 30).bytes), sum[:]) {
				d.t.Errorf("the checksum of %s differs", v.key)
			}
		}
		v, ok := d.version(encryptedBox, e.name+" parts")
		if !ok {
			continue
		}
		q, _ := fields(d.records["q/"+string(v.payload())+"/\x00\x00\x00\x00"])
		var plain, sums []byte
		for _, f := range q {
			if f.number == 28 {
				p, sum := d.part(v, f.bytes)
				plain, sums = append(plain, p...), append(sums, sum...)
			}
		}
		if !bytes.Equal(plain, slices.Concat(manyParts()...)) {
			d.t.Errorf("the bytes of %s differ (%d bytes)", v.key, len(plain))
		}
		sum := sha256.Sum256(sums)
		if !bytes.Equal(d.checksum(d.dataKeys(v, get(v.all, 18).bytes, v.binding()), get(v.all, 30).bytes), sum[:]) {
			d.t.Errorf("the checksum of %s differs", v.key)
		}
		u := d.upload(encryptedBox, e.name+" pending")
		p, _ := d.part(u, d.records["p/"+string(u.unique())+"/\x00\x01"])
		if !bytes.Equal(p, large()) {
			d.t.Errorf("the bytes of the part of %s are %d others", u.key, len(p))
		}
	}
}

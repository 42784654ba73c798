package strict

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
)

// Bounds on an archive.
const (
	maxDirectory = 8 << 20 // bytes read to list its files
	maxRatio     = 200     // of a file to its compressed form, beyond freeRatio
	freeRatio    = 1 << 20 // bytes that may be as compressible as they like
)

// Member decompresses the one file of that exact name out of a ZIP archive of
// size bytes, if it has at most limit bytes. The caller wipes it.
func Member(r io.ReaderAt, size int64, name string, limit int64) ([]byte, error) {
	m := &metered{r: r, left: maxDirectory}
	z, err := zip.NewReader(m, size)
	if err != nil {
		if m.left < 0 {
			return nil, Error("lists too many files")
		}
		return nil, Error("is no whole ZIP archive")
	}
	var hit *zip.File
	for _, f := range z.File {
		if f.Name != name {
			continue
		}
		if hit != nil {
			return nil, Error("holds " + name + " twice")
		}
		hit = f
	}
	if hit == nil {
		return nil, Error("holds no " + name)
	}
	m.left = limit + maxDirectory
	return inflate(hit, limit)
}

// metered bounds the bytes that may be read.
type metered struct {
	r    io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (m *metered) ReadAt(b []byte, at int64) (int, error) {
	if m.left -= int64(len(b)); m.left < 0 {
		return 0, errors.New("over the limit")
	}
	return m.r.ReadAt(b, at)
}

// inflate decompresses a file. The sizes that the archive claims are believed
// only where they refuse.
func inflate(f *zip.File, limit int64) ([]byte, error) {
	if f.Flags&1 != 0 {
		return nil, Error("is encrypted")
	}
	most := min(uint64(limit), max(f.CompressedSize64, freeRatio/maxRatio)*maxRatio)
	if f.CompressedSize64 > uint64(limit)+maxDirectory || f.UncompressedSize64 > most {
		return nil, Error(fmt.Sprintf("%s is larger than %d bytes, or compressed more than %d times", f.Name, limit, maxRatio))
	}
	r, err := f.Open()
	if err != nil {
		return nil, Error(f.Name + " is compressed in an unknown way")
	}
	defer r.Close()
	text := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, text); err != nil {
		clear(text)
		return nil, Error(f.Name + " is cut short or damaged")
	}
	// One more byte makes the reader check length and checksum.
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		clear(text)
		return nil, Error(f.Name + " is not what the archive says")
	}
	return text, nil
}

package ossfake

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type listPartsResult struct {
	XMLName              xml.Name    `xml:"ListPartsResult"`
	EncodingType         string      `xml:"EncodingType,omitempty"`
	Bucket               string      `xml:"Bucket"`
	Key                  keyText     `xml:"Key"`
	UploadID             string      `xml:"UploadId"`
	StorageClass         string      `xml:"StorageClass"`
	PartNumberMarker     int         `xml:"PartNumberMarker"`
	NextPartNumberMarker int         `xml:"NextPartNumberMarker,omitempty"`
	MaxParts             int         `xml:"MaxParts"`
	IsTruncated          bool        `xml:"IsTruncated"`
	Parts                []partEntry `xml:"Part"`
}

type partEntry struct {
	PartNumber   int    `xml:"PartNumber"`
	LastModified string `xml:"LastModified"`
	ETag         string `xml:"ETag"`
	HashCRC64    string `xml:"HashCrc64ecma"`
	Size         int64  `xml:"Size"`
}

func (s *Server) listParts(w http.ResponseWriter, req *request) error {
	limit := 1000
	if req.query.get("max-parts") != "" {
		var err error
		if limit, err = maxKeys(req, "max-parts"); err != nil {
			return err
		}
	}
	marker := 0
	if text := req.query.get("part-number-marker"); text != "" {
		var err error
		if marker, err = strconv.Atoi(text); err != nil || marker < 0 {
			return errInvalidArgument("part-number-marker", text, "The marker must be a part number.")
		}
	}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	u, err := s.findUpload(req, "ListParts")
	if err != nil {
		return err
	}
	parts, err := s.parts(u.ID)
	if err != nil {
		return err
	}
	out := listPartsResult{
		EncodingType: req.query.get("encoding-type"), Bucket: req.bucket, Key: encode(req.key), UploadID: u.ID, StorageClass: u.Metadata.StorageClass,
		PartNumberMarker: marker, MaxParts: limit,
	}
	for _, p := range parts {
		if p.Number <= marker {
			continue
		}
		if len(out.Parts) == limit {
			out.IsTruncated = true
			break
		}
		out.NextPartNumberMarker = p.Number
		out.Parts = append(out.Parts, partEntry{p.Number, isoMillis(p.LastModified), `"` + p.ETag + `"`, strconv.FormatUint(p.CRC64, 10), p.Size})
	}
	return writeXML(w, out)
}

type listUploadsResult struct {
	XMLName            xml.Name       `xml:"ListMultipartUploadsResult"`
	EncodingType       string         `xml:"EncodingType,omitempty"`
	Bucket             string         `xml:"Bucket"`
	KeyMarker          keyText        `xml:"KeyMarker"`
	UploadIDMarker     string         `xml:"UploadIdMarker"`
	NextKeyMarker      keyText        `xml:"NextKeyMarker"`
	NextUploadIDMarker string         `xml:"NextUploadIdMarker"`
	Prefix             keyText        `xml:"Prefix"`
	Delimiter          keyText        `xml:"Delimiter,omitempty"`
	MaxUploads         int            `xml:"MaxUploads"`
	IsTruncated        bool           `xml:"IsTruncated"`
	Uploads            []uploadEntry  `xml:"Upload"`
	CommonPrefixes     []commonPrefix `xml:"CommonPrefixes"`
}

type uploadEntry struct {
	Key          keyText `xml:"Key"`
	UploadID     string  `xml:"UploadId"`
	StorageClass string  `xml:"StorageClass"`
	Initiated    string  `xml:"Initiated"`
}

// uploads returns the uploads of a bucket that are not completed, by key and ID.
func (s *Server) uploads(bucket string) ([]upload, error) {
	entries, err := s.store.readDir(uploadDir)
	if err != nil {
		return nil, err
	}
	var uploads []upload
	for _, e := range entries {
		var u upload
		if err := s.store.readJSON(uploadPath(e.Name())+"/upload.json", &u); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		if u.Bucket == bucket {
			uploads = append(uploads, u)
		}
	}
	slices.SortFunc(uploads, func(a, b upload) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
	})
	return uploads, nil
}

func (s *Server) listMultipartUploads(w http.ResponseWriter, req *request) error {
	q := req.query
	limit := 1000
	if q.get("max-uploads") != "" {
		var err error
		if limit, err = maxKeys(req, "max-uploads"); err != nil {
			return err
		}
	}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	prefix, keyMarker, idMarker := q.get("prefix"), q.get("key-marker"), q.get("upload-id-marker")
	uploads, err := s.uploads(req.bucket)
	if err != nil {
		return err
	}
	uploads = slices.DeleteFunc(uploads, func(u upload) bool {
		after := u.Key > keyMarker || u.Key == keyMarker && idMarker != "" && u.ID > idMarker
		return !strings.HasPrefix(u.Key, prefix) || keyMarker != "" && !after
	})
	out := listUploadsResult{
		EncodingType: q.get("encoding-type"), Bucket: req.bucket, KeyMarker: encode(keyMarker), UploadIDMarker: idMarker, Prefix: encode(prefix),
		MaxUploads: limit, Delimiter: encode(q.get("delimiter")),
	}
	for _, u := range uploads {
		key, id := u.Key, u.ID
		common := commonPrefixOf(u.Key, prefix, q.get("delimiter"))
		if common != "" {
			key, id = common, ""
			last := len(out.CommonPrefixes) - 1
			if common == keyMarker || last >= 0 && out.CommonPrefixes[last].Prefix == encode(common) {
				continue
			}
		}
		if out.IsTruncated = len(out.Uploads)+len(out.CommonPrefixes) == limit; out.IsTruncated {
			break
		}
		out.NextKeyMarker, out.NextUploadIDMarker = encode(key), id
		if common != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(common)})
			continue
		}
		out.Uploads = append(out.Uploads, uploadEntry{encode(u.Key), u.ID, u.Metadata.StorageClass, isoMillis(u.Initiated)})
	}
	return writeXML(w, out)
}

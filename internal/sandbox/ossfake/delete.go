package ossfake

import (
	"encoding/xml"
	"errors"
	"net/http"
)

func (s *Server) deleteObject(w http.ResponseWriter, req *request) error {
	done, err := s.removeObject(req, "ObjectRemoved:DeleteObject", req.key, req.query.get("versionId"))
	if err != nil {
		return err
	}
	h := w.Header()
	switch {
	case done.marker != nil:
		h.Set("x-oss-delete-marker", "true")
		setVersion(h, *done.marker)
	case done.removed != nil && req.query.has("versionId"):
		h.Set("x-oss-version-id", done.removed.versionID())
		if done.removed.DeleteMarker {
			h.Set("x-oss-delete-marker", "true")
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// removeObject removes the current object, or the version if one is named, and reports it. It is no error if there is none.
func (s *Server) removeObject(req *request, event, key, versionID string) (removal, error) {
	if versionID == "" {
		done, err := s.store.remove(req.bucket, key, s.guard(req.bucket, nil))
		if err == nil && done.removed != nil {
			s.emit(req, event, key, metadata{}, -done.removed.Size)
		}
		return done, err
	}
	done, err := s.store.removeVersion(req.bucket, key, versionID, func(m *metadata) error { return s.checkRetention(req.bucket, *m) })
	if errors.Is(err, errNoSuchVersion) {
		return removal{}, nil
	}
	if err == nil && !done.removed.DeleteMarker {
		s.emit(req, event, key, metadata{}, -done.removed.Size)
	}
	return done, err
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []struct {
		Key       string `xml:"Key"`
		VersionID string `xml:"VersionId"`
	} `xml:"Object"`
}

// mapKeys changes the keys after they were decoded.
func (d *deleteRequest) mapKeys(change func(string) string) {
	for n := range d.Objects {
		d.Objects[n].Key = change(d.Objects[n].Key)
	}
}

type deleteResult struct {
	XMLName      xml.Name  `xml:"DeleteResult"`
	EncodingType string    `xml:"EncodingType,omitempty"`
	Deleted      []deleted `xml:"Deleted"`
}

type deleted struct {
	Key             keyText `xml:"Key"`
	VersionID       string  `xml:"VersionId,omitempty"`
	DeleteMarker    bool    `xml:"DeleteMarker,omitempty"`
	MarkerVersionID string  `xml:"DeleteMarkerVersionId,omitempty"`
}

// deleteObjects serves POST ?delete: up to 1,000 keys at once.
func (s *Server) deleteObjects(w http.ResponseWriter, req *request) error {
	var in deleteRequest
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > 1000 {
		return errMalformedXML()
	}
	for _, o := range in.Objects {
		if err := checkKey(o.Key); err != nil || o.Key == "" {
			return errMalformedXML()
		}
		action := "oss:DeleteObject"
		if o.VersionID != "" {
			action = versionAction(action)
		}
		if err := s.authorize(req, action, req.bucket, o.Key); err != nil {
			return err
		}
	}
	out := deleteResult{EncodingType: req.query.get("encoding-type")}
	encode, err := keyEncoder(req)
	if err != nil {
		return err
	}
	for _, o := range in.Objects {
		done, err := s.removeObject(req, "ObjectRemoved:DeleteObjects", o.Key, o.VersionID)
		if err != nil {
			return err
		}
		if in.Quiet {
			continue
		}
		d := deleted{Key: encode(o.Key), VersionID: o.VersionID}
		switch {
		case done.marker != nil:
			d.DeleteMarker, d.MarkerVersionID = true, done.marker.versionID()
		case done.removed != nil && done.removed.DeleteMarker:
			d.DeleteMarker, d.MarkerVersionID = true, o.VersionID
		}
		out.Deleted = append(out.Deleted, d)
	}
	return writeXML(w, out)
}

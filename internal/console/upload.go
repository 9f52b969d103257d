package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"fc-idcard-ocr/internal/result"
)

// Folder is the prefix of the keys of pictures that are dropped into a sandbox's page.
const Folder = "console/"

// postUpload stores the picture in the body under the name in the query, which may have folders in it.
func (s *Server) postUpload(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" || len(name) > 255 || name != path.Clean(name) || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "..") ||
		strings.ContainsAny(name, "\\\x00") || !utf8.ValidString(name) {
		refuse(w, http.StatusBadRequest, "BadName", "name must be a file name of 1 to 255 bytes")
		return
	}
	if !s.config.Keys.IsImage(name) {
		refuse(w, http.StatusUnsupportedMediaType, "BadSuffix", "the name must end in one of "+strings.Join(s.config.Keys.ImageSuffixes, ", "))
		return
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPicture))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, string(result.ImageTooLarge), fmt.Sprintf("a picture may have at most %d MB", MaxPicture>>20))
	case err != nil:
		refuse(w, http.StatusBadRequest, "BadRequest", "the body must be the picture")
	case len(content) == 0:
		refuse(w, http.StatusBadRequest, "Empty", "the file is empty")
	default:
		s.store(w, r, name, content)
	}
}

// postSample stores one of the specimen cards.
func (s *Server) postSample(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	content, ok := s.config.Samples[name]
	if !ok {
		refuse(w, http.StatusNotFound, "NotFound", "there is no such specimen")
		return
	}
	s.store(w, r, name, content)
}

func (s *Server) store(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	s.naming <- struct{}{} // two pictures of one name must not both find it free
	defer func() { <-s.naming }()
	key, err := s.freeKey(r.Context(), Folder+name)
	if err == nil {
		err = s.config.Bucket.Put(r.Context(), key, content, mime.TypeByExtension(path.Ext(name)))
	}
	if err == nil {
		err = s.index.refresh(r.Context(), key)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.hub.changed()
	respond(w, http.StatusCreated, map[string]any{"id": s.index.id(key), "key": result.MaskKey(key), "renamed": key != Folder+name})
}

// freeKey numbers a key that is taken: phones call every picture image.jpg, and an upload must not replace another picture.
func (s *Server) freeKey(ctx context.Context, key string) (string, error) {
	extension := path.Ext(key)
	stem := strings.TrimSuffix(key, extension)
	for n := 1; ; n++ {
		candidate := key
		if n > 1 {
			candidate = fmt.Sprintf("%s (%d)%s", stem, n, extension)
		}
		taken := false
		for o, err := range s.config.Bucket.List(ctx, candidate, "") {
			if err != nil {
				return "", err
			}
			taken = o.Key == candidate
			break // the key itself comes before all that begin with it
		}
		if !taken {
			return candidate, nil
		}
	}
}

package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
)

// graphBlock blocks and unblocks people, as the Block Users API does. The sandbox's phones
// can still write: it is the router that stops answering.
func (s *Server) graphBlock(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) || !s.checkNode(w, r) {
		return
	}
	var req struct {
		Users []struct {
			User   string
			UserID string `json:"user_id"`
		} `json:"block_users"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSend))
	if err != nil || json.Unmarshal(body, &req) != nil || len(req.Users) == 0 {
		s.refuse(w, errParam("The parameter block_users is required."))
		return
	}
	on := r.Method == http.MethodPost
	done, failed := []blocked{}, []blocked{}
	for _, u := range req.Users {
		to := recipient{phone: digitsOnly(u.User), userID: u.UserID}
		user := blocked{Input: to.ref(), WaID: to.phone}
		if on && !s.wroteToday(to) {
			user.Errors = []*wireError{{Code: 131047, Message: "Re-engagement required", ErrorData: map[string]string{"details": "User has not messaged in the last 24 hours"}}}
			failed = append(failed, user)
			continue
		}
		done = append(done, user)
	}
	if on {
		s.record.count(func(c *Counts) { c.Blocked += int64(len(done)) })
	}
	s.answerBlock(w, on, done, failed)
}

// blocked is the result for one person.
type blocked struct {
	Input  string       `json:"input"`
	WaID   string       `json:"wa_id,omitempty"`
	Errors []*wireError `json:"errors,omitempty"`
}

// answerBlock answers with the people who were blocked or unblocked and those who were not.
func (s *Server) answerBlock(w http.ResponseWriter, on bool, done, failed []blocked) {
	key := "removed_users"
	if on {
		key = "added_users"
	}
	list := map[string]any{key: done}
	answer := map[string]any{"messaging_product": "whatsapp", "block_users": list}
	if len(failed) == 0 {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	s.record.count(func(c *Counts) { c.Refused++ })
	list["failed_users"] = failed
	answer["error"] = map[string]any{"message": "(#139100) Failed to block/unblock users", "type": "OAuthException", "code": 139100}
	writeJSON(w, http.StatusBadRequest, answer)
}

// wroteToday reports whether a person may be blocked. A person who never wrote here is let
// through: their webhook may have been posted from elsewhere.
func (s *Server) wroteToday(to recipient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.find(to)
	return p == nil || p.lastWrote.IsZero() || s.opt.Now().Sub(p.lastWrote) < MetaLimits().Window
}

// graphTemplates lists a few templates, one of each category, for any account.
func (s *Server) graphTemplates(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) {
		return
	}
	list := []map[string]string{}
	for _, t := range [...][2]string{{"recordatorio", "UTILITY"}, {"promo", "MARKETING"}, {"codigo", "AUTHENTICATION"}} {
		list = append(list, map[string]string{"name": t[0], "language": "es_AR", "category": t[1], "status": "APPROVED"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": list})
}

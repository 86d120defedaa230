package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
)

// block blocks and unblocks people, as the Block Users API does. The phones of the
// sandbox go on writing: the router is who does not answer.
func (g *graph) block(w http.ResponseWriter, r *http.Request) *graphError {
	var req struct {
		Users []struct {
			User   string
			UserID string `json:"user_id"`
		} `json:"block_users"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSend))
	if err != nil || json.Unmarshal(body, &req) != nil || len(req.Users) == 0 {
		return errParam("The parameter block_users is required.")
	}
	on := r.Method == http.MethodPost
	done, failed := []blocked{}, []blocked{}
	for _, u := range req.Users {
		to := recipient{phone: digitsOnly(u.User), userID: u.UserID}
		user := blocked{Input: to.ref(), WaID: to.phone}
		if on && !g.phones.wroteToday(to) {
			user.Errors = []*wireError{{Code: 131047, Message: "Re-engagement required", ErrorData: map[string]string{"details": "User has not messaged in the last 24 hours"}}}
			failed = append(failed, user)
			continue
		}
		done = append(done, user)
	}
	if on {
		g.record.count(func(c *Counts) { c.Blocked += int64(len(done)) })
	}
	g.answerBlock(w, on, done, failed)
	return nil
}

// blocked is the result for one person.
type blocked struct {
	Input  string       `json:"input"`
	WaID   string       `json:"wa_id,omitempty"`
	Errors []*wireError `json:"errors,omitempty"`
}

// answerBlock tells for whom it was done.
func (g *graph) answerBlock(w http.ResponseWriter, on bool, done, failed []blocked) {
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
	g.record.count(func(c *Counts) { c.Refused++ })
	list["failed_users"] = failed
	answer["error"] = map[string]any{"message": "(#139100) Failed to block/unblock users", "type": "OAuthException", "code": 139100}
	writeJSON(w, http.StatusBadRequest, answer)
}

// templates lists a few templates of any account, one of each category.
func (g *graph) templates(w http.ResponseWriter, _ *http.Request) *graphError {
	list := []map[string]string{}
	for _, t := range [...][2]string{{"recordatorio", "UTILITY"}, {"promo", "MARKETING"}, {"codigo", "AUTHENTICATION"}} {
		list = append(list, map[string]string{"name": t[0], "language": "es_AR", "category": t[1], "status": "APPROVED"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": list})
	return nil
}

package clerktest

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// list is GET /users: the users, or the code of a 422.
func (c *Clerk) list(q url.Values) (users []*User, code string) {
	limit, ok := number(q, "limit", 10)
	if !ok || limit < 1 || limit > 500 {
		return nil, "form_param_value_invalid"
	}
	offset, ok := number(q, "offset", 0)
	if !ok || offset < 0 {
		return nil, "form_param_value_invalid"
	}
	after, ok := number(q, "created_at_after", -1)
	before, ok2 := number(q, "created_at_before", 1<<62)
	ids := q["user_id"]
	if !ok || !ok2 || len(ids) > 100 {
		return nil, "form_param_value_invalid"
	}
	users = c.users
	if len(ids) > 0 {
		users = nil
		for _, id := range ids {
			if u := c.byID[strings.TrimPrefix(id, "+")]; u != nil {
				users = append(users, u)
			}
		}
		slices.SortFunc(users, byCreation)
	}
	from, _ := slices.BinarySearchFunc(users, after+1, byTime)
	to, _ := slices.BinarySearchFunc(users, before, byTime)
	users = users[from:max(from, to)]

	order := q.Get("order_by")
	if order == "" {
		order = "-created_at"
	}
	field := strings.TrimLeft(order, "+-")
	switch field {
	case "created_at":
	case "updated_at":
		users = slices.Clone(users)
		slices.SortStableFunc(users, func(a, b *User) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) })
	default:
		return nil, "form_param_value_invalid"
	}
	if strings.HasPrefix(order, "-") {
		users = slices.Clone(users)
		slices.Reverse(users)
	}
	if cursor := q.Get("starting_after"); cursor != "" {
		i := slices.IndexFunc(users, func(u *User) bool { return u.ID == cursor })
		if field != "created_at" || offset > 0 || i < 0 {
			return nil, "form_param_value_invalid"
		}
		users = users[i+1:]
	}
	users = users[min(offset, int64(len(users))):]
	return users[:min(limit, int64(len(users)))], ""
}

func byTime(u *User, at int64) int { return cmp.Compare(u.CreatedAt, at) }

func number(q url.Values, name string, otherwise int64) (int64, bool) {
	if !q.Has(name) {
		return otherwise, true
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	return n, err == nil
}

package clerk_test

import (
	"fmt"

	"github.com/glowup-app/clerksync/clerk"
)

func ExampleParseUser() {
	user, err := clerk.ParseUser([]byte(`{
		"id": "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
		"first_name": "Ada",
		"last_name": null,
		"email_addresses": [
			{"id": "idn_1", "email_address": "ada@work.example.com"},
			{"id": "idn_2", "email_address": "ada@example.com"}
		],
		"primary_email_address_id": "idn_2"
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	email, _ := user.PrimaryEmail().Value()
	fmt.Println("email:", email)

	_, ok := user.LastName.Value()
	fmt.Println("last name: present", user.LastName.Present(), "with a value", ok)
	fmt.Println("username: present", user.Username.Present())
	// Output:
	// email: ada@example.com
	// last name: present true with a value false
	// username: present false
}

func ExampleParseUser_malformed() {
	_, err := clerk.ParseUser([]byte(`{"id": "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S", "first_name": ["Ada"]}`))
	fmt.Println(err)
	// Output:
	// data.first_name: want string, got array
}

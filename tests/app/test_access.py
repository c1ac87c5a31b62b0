"""Who may do what."""

import pytest

from medloop.app.access import LEAST, ROLES, AccessError, User, local_user


@pytest.mark.parametrize("action", LEAST)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_roles_below_it_may(role, action):
    user = User("ada", role, local=False)
    allowed = ROLES.index(role) >= ROLES.index(LEAST[action])
    assert user.may(action) == allowed
    if allowed:
        user.require(action)
    else:
        with pytest.raises(AccessError, match=f"needs the role {LEAST[action]}"):
            user.require(action)


def test_without_a_login_there_is_one_local_user_with_every_right():
    user = local_user("ada")
    assert user.local
    assert all(user.may(action) for action in LEAST)

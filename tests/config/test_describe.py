"""Tests of L{registryproxy.config.describe}."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config.describe import in_force, markdown
from registryproxy.config.settings import Config, all_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ORIGINS = {each.key: "default" for each in all_settings()}


class InForceTests(SynchronousTestCase):
    """L{in_force}: what C{--check} prints."""

    def test_each_setting_has_a_line(self) -> None:
        """All settings are there, in the order of the table, with where they come from."""
        lines = in_force(Config(), {**ORIGINS, "workers": "option"}).splitlines()
        self.assertEqual([line.partition(" =")[0] for line in lines], [each.name for each in all_settings()])
        self.assertEqual({line.rpartition("# ")[2] for line in lines[:-1]}, {"default"})
        self.assertRegex(lines[-1], r"\AWORKERS = 1 +# option\Z")

    def test_secrets_are_masked(self) -> None:
        """That there is a secret is told, what it is not."""
        text = in_force(
            Config(
                auth_registries="q:u:hunter2",
                client_credentials="u:hunter2",
                https_proxy="http://u:hunter2@proxy",
            ),
            ORIGINS,
        )
        self.assertNotIn("hunter2", text)
        self.assertEqual(text.count("= ****"), 3)
        self.assertNotIn("****", in_force(Config(), ORIGINS))

    def test_a_value_stays_on_its_line(self) -> None:
        """What would break the line, or could not be seen, is quoted."""
        text = in_force(Config(debug="a\nb\x1b\udcff"), ORIGINS)
        self.assertEqual(len(text.splitlines()), len(all_settings()))
        self.assertIn(r"DEBUG = 'a\nb\x1b\udcff'", text)
        self.assertIn("AUTH_REGISTRIES_DELIMITER = ' '", text)


class PageTests(SynchronousTestCase):
    """docs/settings.md."""

    def test_the_page_is_in_step_with_the_code(self) -> None:
        """The page ends with the table that C{registryproxy settings} prints."""
        self.assertTrue(PAGE.read_text().endswith(f"\n\n{markdown()}"))

    def test_the_table_has_each_setting(self) -> None:
        """Each row names a setting and tells since when it has an effect."""
        rows = markdown().splitlines()[2:]
        self.assertEqual(len(rows), len(all_settings()))
        for row, each in zip(rows, all_settings(), strict=True):
            self.assertTrue(row.startswith(f"| `{each.name}`"))
            self.assertEqual(row.endswith("| not yet |"), each.later is not None)

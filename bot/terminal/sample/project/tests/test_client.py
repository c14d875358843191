import unittest

from pay.client import Client


class ClientTest(unittest.TestCase):
    def test_reads_the_balance(self):
        client = Client(lambda method, path, body: {"cents": 1250})
        self.assertEqual(client.balance(), 1250)

    def test_charges_with_its_key(self):
        sent = []

        def send(method, path, body):
            sent.append((method, path, body))
            return {"id": "ch_1"}

        self.assertEqual(Client(send).charge(500, key="k1"), "ch_1")
        self.assertEqual(sent, [("POST", "/charges", {"cents": 500, "key": "k1"})])


if __name__ == "__main__":
    unittest.main()

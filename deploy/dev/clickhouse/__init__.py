"""The embedded ClickHouse: the engine (chDB) behind ClickHouse's native TCP protocol, for one machine.

It speaks protocol revision 54429 to native clients on loopback. Any user and password are taken: who can
reach the port can read and write everything, files of this user included. Production uses a real server.
"""

"""Tells optimum-cli of the command `fourbit`. optimum reads every file of this namespace; the folders have no __init__.py."""

from fourbit._optimum_command import FourbitCommand

REGISTER_COMMANDS = [FourbitCommand]

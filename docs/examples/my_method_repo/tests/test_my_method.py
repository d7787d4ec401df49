from gantlet.testing import conformance
from my_method import MyMethod

test_conformance = conformance(MyMethod)

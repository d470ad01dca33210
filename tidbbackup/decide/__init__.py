"""What to do, given the facts and the time: (facts, now) -> Plan.

Pure and synchronous: must not know the API, the clock, or how a Plan is carried out.
"""

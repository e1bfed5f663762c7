import sys,time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
from mininet.log import setLogLevel
setLogLevel('error')
n=int(sys.argv[1])
t=time.time(); net=Mininet(topo=SingleSwitchTopo(n),switch=LinuxBridge,controller=None); net.start(); t1=time.time()
time.sleep(0)
r=None
if len(sys.argv)>2:
  r=net.pingAll(timeout='1'); 
t2=time.time(); net.stop(); t3=time.time()
print('mininet N=%d start %.4f pingall %.4f loss %s stop %.4f'%(n,t1-t,t2-t1,r,t3-t2))
